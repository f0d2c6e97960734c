// The access file: who may use a server, and for what.
//
// A text file of entries, one a line, words separated by blanks:
//
//     # The shop schedules and cancels, the mailer consumes.
//     shop    sha256:5f0c…  schedule,cancel:orders.*  inspect:topic:*
//     mailer  sha256:91aa…  consume:queue:mail
//
// First the name; then the SHA-256 of the secret's text, in hexadecimal digits; then any number of grants (`Grant`). A
// backslash makes the byte behind it an ordinary one, also a blank. Blank lines, and lines whose first word begins with `#`,
// say nothing.
//
// Holds: a change adds or takes out the line of its entry and leaves every other byte as it was, so that comments and
// layout survive. No two entries have the same name or the same secret.
// Leaves to others: files (`AccessFile+Disk`), what becomes of connections when the file changes (the server).

import Primitives

/// What an access file says.
public struct AccessFile: Sendable {
  /// One entry.
  public struct Entry: Sendable {
    /// Name and rights.
    public let identity: Identity
    /// The hash of the secret.
    public let secret: SecretHash
    fileprivate let line: Int
  }

  /// The longest file that is read.
  public static let bytesMax = 16 << 20
  /// The longest secret that is looked at: nobody can make the server hash long texts. One that is made here has 64 bytes.
  public static let secretBytesMax = 1024
  static let nameRule = "it has 1 to 64 of A-Z a-z 0-9 . _ -"

  /// The entries in the order of the file.
  public private(set) var entries: [Entry] = []
  // Without their line breaks. The last one is what stands behind the last line break.
  private var lines: [[UInt8]]

  /// A file without entries that says how entries are written.
  public init() {
    lines = Self.preamble.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map(Array.init)
  }

  /// Reads what a file holds.
  ///
  /// - Throws: `badLine` with the number of the first line that cannot be understood, and what to do about it.
  /// - Complexity: O(bytes) and O(entries) of memory.
  public init(_ bytes: [UInt8]) throws(AccessError) {
    lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map(Array.init)
    var lineByName: [String: Int] = [:]
    var lineBySecret: [SecretHash: Int] = [:]
    for (index, line) in lines.enumerated() {
      do {
        guard let entry = try Self.entry(line, at: index) else { continue }
        if let earlier = lineByName.updateValue(index, forKey: entry.identity.name) {
          throw AccessError.badGrant("'\(entry.identity.name)' has an entry already, in line \(earlier + 1)")
        }
        if let earlier = lineBySecret.updateValue(index, forKey: entry.secret) {
          throw AccessError.badGrant("the secret is that of line \(earlier + 1); each entry needs its own")
        }
        entries.append(entry)
      } catch {
        throw .badLine(index + 1, "\(error)")
      }
    }
  }

  /// The file, byte for byte.
  public var bytes: [UInt8] { Array(lines.joined(separator: [UInt8(ascii: "\n")])) }

  /// The identity with this secret; nil when there is none.
  ///
  /// - Complexity: O(secret + entries); the same time whichever entry it is, and for a secret that nobody has.
  public func identity(secret: UnsafeRawBufferPointer) -> Identity? {
    guard secret.count <= Self.secretBytesMax else { return nil }
    let hash = SecretHash(of: secret)
    var found: Identity?
    for entry in entries where entry.secret.isSame(as: hash) { found = entry.identity }
    return found
  }

  /// The identity with this name and this secret; nil when they do not belong together.
  public func identity(name: String, secret: UnsafeRawBufferPointer) -> Identity? {
    guard let identity = identity(secret: secret), identity.name == name else { return nil }
    return identity
  }

  /// Adds an entry as the last line.
  ///
  /// - Throws: `badName`, `nameTaken`.
  public mutating func add(name: String, secret: SecretHash, grants: [Grant]) throws(AccessError) {
    guard Self.isName(Array(name.utf8)) else { throw .badName(name) }
    guard !entries.contains(where: { $0.identity.name == name }) else { throw .nameTaken(name) }
    precondition(!entries.contains { $0.secret == secret }, "a secret of 256 random bits is nobody else's")
    let words = [name, "sha256:\(secret.hexadecimal)"] + grants.map { Self.word(of: $0) }
    if lines.last == [] { lines.removeLast() }
    entries.append(Entry(identity: Identity(name: name, grants: grants), secret: secret, line: lines.count))
    lines += [Array(words.joined(separator: " ").utf8), []]
  }

  /// Takes an entry out.
  ///
  /// - Throws: `unknownName`.
  public mutating func remove(name: String) throws(AccessError) {
    guard let place = entries.firstIndex(where: { $0.identity.name == name }) else { throw .unknownName(name) }
    lines.remove(at: entries[place].line)
    entries.remove(at: place)
    for later in place..<entries.count {
      let entry = entries[later]
      entries[later] = Entry(identity: entry.identity, secret: entry.secret, line: entry.line - 1)
    }
  }

  private static func entry(_ line: [UInt8], at index: Int) throws(AccessError) -> Entry? {
    let words = words(line)
    guard let first = words.first, first.first != UInt8(ascii: "#") else { return nil }
    guard isName(first) else {
      throw .badGrant("'\(shown(first))' is no name for an entry; \(nameRule); a remark begins with '#'")
    }
    let label = Array("sha256:".utf8)
    guard words.count > 1, words[1].starts(with: label), let secret = SecretHash(hexadecimal: words[1].dropFirst(7))
    else {
      throw .badGrant(
        "'\(shown(first))' has no good 'sha256:' with 64 hexadecimal digits behind its name; "
          + "'escapement access add' makes such a line")
    }
    var grants: [Grant] = []
    for word in words[2...] {
      guard let text = String(validating: word, as: UTF8.self) else {
        throw .badGrant("'\(shown(word))' is not UTF-8")
      }
      grants.append(try Grant(text))
    }
    return Entry(identity: Identity(name: shown(first), grants: grants), secret: secret, line: index)
  }

  /// Splits at blanks, except at those behind a backslash.
  private static func words(_ line: [UInt8]) -> [[UInt8]] {
    var words: [[UInt8]] = []
    var word: [UInt8] = []
    var isLiteral = false
    for byte in line {
      if !isLiteral, isBlank(byte) {
        if !word.isEmpty { words.append(word) }
        word = []
      } else {
        word.append(byte)
      }
      isLiteral = !isLiteral && byte == UInt8(ascii: "\\")
    }
    if !word.isEmpty { words.append(word) }
    return words
  }

  /// A grant as one word of a line: its blanks get a backslash unless they have one.
  private static func word(of grant: Grant) -> String {
    var word: [UInt8] = []
    var isLiteral = false
    for byte in grant.text.utf8 {
      if !isLiteral, isBlank(byte) { word.append(UInt8(ascii: "\\")) }
      word.append(byte)
      isLiteral = !isLiteral && byte == UInt8(ascii: "\\")
    }
    return String(decoding: word, as: UTF8.self)
  }

  // A carriage return is what editors of other systems put in front of a line break.
  private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0D }

  private static func isName(_ bytes: [UInt8]) -> Bool {
    (1...64).contains(bytes.count)
      && bytes.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
          true
        default: false
        }
      }
  }

  /// A word for messages: at most 64 bytes of it.
  private static func shown(_ word: [UInt8]) -> String {
    String(decoding: word.prefix(64), as: UTF8.self) + (word.count > 64 ? "…" : "")
  }

  private static let preamble = """
    # Who may use this server, and for what. Made by 'escapement access add'; it can be edited by hand, and is read again on SIGHUP.
    #
    #   NAME sha256:HASH RIGHT[,RIGHT...]:[KIND:]PATTERN ...
    #
    # HASH: the SHA-256 of the secret, in hexadecimal digits; the secret itself is not kept anywhere.
    # RIGHT: schedule, consume, cancel, inspect, admin, or all. KIND: topic, queue, exchange, group; without it, all four.
    # PATTERN: a name; '*' stands for anything. A backslash takes its meaning from the character behind it: '\\*', '\\ ', '\\:'.

    """
}
