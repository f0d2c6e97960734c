// Two sides of TLS in memory: who is let in, who is not, and that an end is told from a cut.
//
// Leaves to others: sockets, reloading of files, clients of other makers (EndToEnd).

import Foundation
import TLS
import Testing

@Suite("TLS", .enabled(if: Certificates.canBeMade, "openssl is needed to make certificates"))
struct TLSTests {
  private let certificates: Certificates

  init() throws { certificates = try Certificates() }

  /// The two sides of a connection, and what the last step of each came to.
  private struct Pair {
    let client: TLSChannel
    let server: TLSChannel
    private(set) var clientStep = TLSStep.needsMore
    private(set) var serverStep = TLSStep.needsMore

    init(_ client: TLSContext, host: String?, _ server: TLSContext) throws {
      self.client = try TLSChannel(clientOf: client, host: host)
      self.server = try TLSChannel(serverOf: server)
      for _ in 0..<6 {
        clientStep = self.client.handshake()
        move(from: self.client, to: self.server)
        serverStep = self.server.handshake()
        move(from: self.server, to: self.client)
      }
    }

    var isOpen: Bool { client.isOpen && server.isOpen }

    /// Moves what one side has sealed to the other.
    func move(from: TLSChannel, to: TLSChannel) {
      withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) { memory in
        while case let count = from.takeSealed(into: memory), count > 0 {
          to.feed(UnsafeRawBufferPointer(rebasing: memory[..<count]))
        }
      }
    }

    /// What the client reads next.
    func read() -> (step: TLSStep, text: String) {
      move(from: server, to: client)
      return withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) { memory in
        let step = client.read(into: memory)
        guard case .bytes(let count) = step else { return (step, "") }
        return (step, String(decoding: memory[..<count], as: UTF8.self))
      }
    }
  }

  private func server(clientAuthorities: String? = nil) throws -> TLSContext {
    let own = try certificates.make("server", host: "localhost")
    return try TLSContext(
      server: TLSFiles(certificate: own.certificate, key: own.key, clientAuthorities: clientAuthorities))
  }

  private func client(trusting name: String, showing own: Certificates.Files? = nil) throws -> TLSContext {
    let trusted = try certificates.make(name, host: "localhost")
    return try TLSContext(client: .file(trusted.certificate), certificate: own?.certificate, key: own?.key)
  }

  @Test("what one side writes the other reads, and an end is told")
  func conversation() throws {
    let server = try server()
    let pair = try Pair(try client(trusting: "server"), host: "localhost", server)
    try #require(pair.isOpen, "\(pair.clientStep), \(pair.serverStep)")
    #expect(Array("hello".utf8).withUnsafeBytes { pair.server.write($0) } == .bytes(5))
    #expect(pair.read().text == "hello")
    #expect(pair.read().step == .needsMore)
    pair.server.finish()
    #expect(pair.read().step == .ended)
  }

  @Test(
    "a client speaks to nobody but the host that it has called",
    arguments: [("server", "localhost", true), ("server", "elsewhere", false), ("stranger", "localhost", false)])
  func hosts(trusted: String, host: String, isLetIn: Bool) throws {
    let server = try server()
    let pair = try Pair(try client(trusting: trusted), host: host, server)
    #expect(pair.client.isOpen == isLetIn)
    guard !isLetIn else { return }
    guard case .failed(let reason) = pair.clientStep else {
      Issue.record("the client goes on: \(pair.clientStep)")
      return
    }
    #expect(!reason.isEmpty)
  }

  @Test("a server that asks for certificates serves nobody else", arguments: ["customer", "stranger", nil])
  func clients(name: String?) throws {
    let customer = try certificates.make("customer", host: "customer")
    let server = try server(clientAuthorities: customer.certificate)
    let shown = try name.map { try certificates.make($0, host: $0) }
    let pair = try Pair(try client(trusting: "server", showing: shown), host: "localhost", server)
    #expect(pair.server.isOpen == (name == "customer"), "\(pair.serverStep)")
  }
}

/// Certificates that sign themselves, in a folder of its own.
final class Certificates {
  struct Files {
    var certificate: String
    var key: String
  }

  static let canBeMade = (try? openssl(["version"])) != nil

  private let folder: String
  private var made: [String: Files] = [:]

  init() throws {
    folder = NSTemporaryDirectory() + "tls-tests-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  /// A certificate for a host with its key; the same for the same name.
  func make(_ name: String, host: String) throws -> Files {
    if let known = made[name] { return known }
    let files = Files(certificate: "\(folder)/\(name).pem", key: "\(folder)/\(name).key")
    try Self.openssl([
      "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
      "/CN=\(host)", "-addext", "subjectAltName=DNS:\(host)", "-keyout", files.key, "-out", files.certificate,
    ])
    made[name] = files
    return files
  }

  private static func openssl(_ arguments: [String]) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["openssl"] + arguments
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw CocoaError(.executableLoad) }
  }
}
