// The access file: what is read, what is refused with which words, and that changes leave the rest alone.

import Foundation
import Primitives
import SeededRandom
import Testing

@testable import Access

@Suite("the access file")
struct AccessFileTests {
  private static let hash = SecretHash(of: "open sesame").hexadecimal
  private static let otherHash = SecretHash(of: "other").hexadecimal

  private func read(_ text: String) throws -> AccessFile { try AccessFile(Array(text.utf8)) }

  private func name(_ file: AccessFile, _ secret: String) -> String? {
    secret.withBytes { file.identity(secret: $0)?.name }
  }

  @Test("a secret tells who shows it")
  func identity() throws {
    let text =
      "# remark\n\n  shop \t sha256:\(Self.hash)  schedule:orders.*   consume:queue:a\\ b\r\nmailer sha256:\(Self.otherHash)"
    let file = try read(text)
    #expect(file.entries.map(\.identity.name) == ["shop", "mailer"])
    #expect(name(file, "open sesame") == "shop" && name(file, "other") == "mailer")
    for wrong in ["", "open sesam", "open sesame ", "shop", Self.hash] { #expect(name(file, wrong) == nil) }
    #expect("other".withBytes { file.identity(name: "mailer", secret: $0) } != nil)
    #expect("other".withBytes { file.identity(name: "shop", secret: $0) } == nil)
    let shop = try #require(file.entries.first?.identity)
    #expect("a b".withBytes { shop.allows(.consume, .queue, $0) })
    #expect(String(decoding: file.bytes, as: UTF8.self) == text)
  }

  @Test("a secret longer than any is refused without a look", arguments: [1024, 1025])
  func longSecret(_ length: Int) throws {
    let secret = String(repeating: "x", count: length)
    let file = try read("long sha256:\(SecretHash(of: secret).hexadecimal)")
    #expect(name(file, secret) == (length > AccessFile.secretBytesMax ? nil : "long"))
  }

  @Test("the digits of a hash may be upper case")
  func upperCase() throws {
    #expect(name(try read("a sha256:\(Self.hash.uppercased())"), "open sesame") == "a")
  }

  private static let badFiles: [(text: String, line: Int, message: String)] = [
    ("shop", 1, "has no good 'sha256:'"), ("\nshop \(hash)", 2, "has no good 'sha256:'"),
    ("shop sha256:\(hash)0", 1, "has no good 'sha256:'"),
    ("shop sha256:\(hash.dropLast(2))", 1, "has no good 'sha256:'"),
    ("shop sha256:g\(hash.dropFirst())", 1, "has no good 'sha256:'"),
    ("shop sha256:\(hash) write:*", 1, "'write' is no right"),
    ("sh/op sha256:\(hash)", 1, "'sh/op' is no name for an entry"),
    ("\(String(repeating: "x", count: 65)) sha256:\(hash)", 1, "is no name for an entry"),
    ("a sha256:\(hash)\n# x\na sha256:\(otherHash)", 3, "'a' has an entry already, in line 1"),
    ("a sha256:\(hash)\nb sha256:\(hash)", 2, "the secret is that of line 1"),
    ("a sha256:\(hash) all:* # remark", 1, "is no grant"),
  ]

  @Test("a bad line is named, with what to do", arguments: badFiles.indices)
  func bad(_ index: Int) {
    let (text, line, message) = Self.badFiles[index]
    #expect { try read(text) } throws: { error in
      guard case .badLine(line, let reason) = error as? AccessError else { return false }
      return reason.contains(message)
    }
  }

  @Test(
    "garbage is refused or read, and what was read is written again byte for byte", arguments: 0..<32 as Range<UInt64>)
  func garbage(_ seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let good = Array(
      "# x\nshop sha256:\(Self.hash) schedule:a\\ b*\nmailer sha256:\(Self.otherHash) all:queue:*\n".utf8)
    for _ in 0..<200 {
      var bytes = good
      for _ in 0...random.next(below: 4) {
        let place = Int(random.next(below: UInt64(bytes.count)))
        switch random.next(below: 3) {
        case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
        case 1: bytes.remove(at: place)
        default: bytes.insert(Array(" \n\\:#*,\0\u{FF}".utf8)[Int(random.next(below: 9))], at: place)
        }
      }
      if let file = try? AccessFile(bytes) { #expect(file.bytes == bytes) }
    }
  }

  @Test(
    "adding and removing touch one line", arguments: ["", "# mine\n", "# mine", "x sha256:\(otherHash) all:*", "\n\n"])
  func change(_ text: String) throws {
    var file = try read(text)
    let grants = try ["schedule:orders.*", #"consume:queue:a\ b"#, "consume:queue:c d", #"all:x\\"#].map {
      try Grant($0)
    }
    try file.add(name: "shop", secret: SecretHash(of: "open sesame"), grants: grants)
    try file.add(name: "mailer", secret: SecretHash(of: "third"), grants: [])
    var again = try AccessFile(file.bytes)
    #expect(name(again, "open sesame") == "shop" && name(again, "third") == "mailer")
    let shop = try #require(again.entries.first { $0.identity.name == "shop" }?.identity)
    #expect(shop.grants.map(\.pattern) == grants.map(\.pattern))
    #expect("c d".withBytes { shop.allows(.consume, .queue, $0) })
    #expect(String(decoding: file.bytes, as: UTF8.self).hasPrefix(text))
    #expect(throws: AccessError.nameTaken("shop")) {
      try again.add(name: "shop", secret: SecretHash(of: "x"), grants: [])
    }
    try again.remove(name: "shop")
    try again.remove(name: "mailer")
    #expect(throws: AccessError.unknownName("shop")) { try again.remove(name: "shop") }
    let end = text.isEmpty || text.hasSuffix("\n") ? text : text + "\n"
    #expect(String(decoding: again.bytes, as: UTF8.self) == end)
  }

  @Test("secrets have 256 bits of the source they are made from, and are found by their hash")
  func secrets() {
    var random = SplitMix64(seed: 7)
    func make() -> String {
      Secret.make { bytes in for place in bytes.indices { bytes[place] = UInt8(truncatingIfNeeded: random.next()) } }
    }
    let one = make()
    #expect(one.utf8.count == 64 && one != make())
    #expect(SecretHash(of: one).isSame(as: SecretHash(hexadecimal: SecretHash(of: one).hexadecimal.utf8)!))
    for bit in 0..<256 {
      var bytes = SecretHash(of: one).bytes
      bytes[bit / 8] ^= 1 << UInt8(bit % 8)
      let other = SecretHash(hexadecimal: Hexadecimal.encoded(bytes).utf8)!
      #expect(!SecretHash(of: one).isSame(as: other))
    }
  }
}

@Suite("the access file on disk")
struct AccessFileOnDiskTests {
  private func inFolder(_ body: (String) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "access-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try body(folder.path)
  }

  private func mode(_ path: String) throws -> Int? {
    try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
  }

  @Test("a file is made for its owner alone, and read again")
  func roundTrip() throws {
    try inFolder { folder in
      let path = folder + "/access"
      #expect(throws: AccessError.self) { try AccessFile(path: path) }
      #expect(throws: AccessError.self) { try AccessFile.edit(path: path, makes: false) { _ in } }
      try AccessFile.edit(path: path, makes: true) { (file) throws(AccessError) in
        try file.add(name: "shop", secret: SecretHash(of: "x"), grants: [.everything])
      }
      #expect(try mode(path) == 0o600)
      #expect(try AccessFile(path: path).entries.map(\.identity.name) == ["shop"])
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["access"])
    }
  }

  @Test("a change that fails leaves the file as it was, and the next one works")
  func failure() throws {
    try inFolder { folder in
      let path = folder + "/access"
      try "# mine\n".write(toFile: path, atomically: false, encoding: .utf8)
      #expect(throws: AccessError.unknownName("a")) {
        try AccessFile.edit(path: path, makes: true) { (file) throws(AccessError) in try file.remove(name: "a") }
      }
      #expect(try String(contentsOfFile: path, encoding: .utf8) == "# mine\n")
      try AccessFile.edit(path: path, makes: true) { _ in }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["access"])
    }
  }

  @Test("two changes at a time are refused")
  func locked() throws {
    try inFolder { folder in
      let path = folder + "/access"
      try AccessFile.edit(path: path, makes: true) { _ in
        #expect { try AccessFile.edit(path: path, makes: true) { _ in } } throws: { "\($0)".contains("another change") }
      }
    }
  }

  @Test("a link stays a link")
  func link() throws {
    try inFolder { folder in
      let path = folder + "/access"
      try "".write(toFile: folder + "/real", atomically: false, encoding: .utf8)
      try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: "real")
      try AccessFile.edit(path: path, makes: false) { (file) throws(AccessError) in
        try file.add(name: "shop", secret: SecretHash(of: "x"), grants: [])
      }
      #expect(try FileManager.default.destinationOfSymbolicLink(atPath: path) == "real")
      #expect(try AccessFile(path: folder + "/real").entries.count == 1)
    }
  }

  @Test("a file that everybody can write to is refused")
  func writable() throws {
    try inFolder { folder in
      let path = folder + "/access"
      try "".write(toFile: path, atomically: false, encoding: .utf8)
      try FileManager.default.setAttributes([.posixPermissions: 0o666], ofItemAtPath: path)
      #expect { try AccessFile(path: path) } throws: { "\($0)".contains("chmod 600") }
    }
  }
}
