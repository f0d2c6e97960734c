// The rules for requests once more, over a whole array of bytes, as simply as they can be written: what the parser is held to.

import HTTPProtocol

/// Reads from the front of an array.
struct DumbHTTP {
  struct Refused: Error {}
  struct Incomplete: Error {}

  private var rest: ArraySlice<UInt8>

  /// All requests, and whether something is refused behind them.
  static func outcome(_ bytes: [UInt8]) -> (requests: [Parsed], isRefused: Bool) {
    var reader = DumbHTTP(rest: bytes[...])
    var requests: [Parsed] = []
    while true {
      do {
        let request = try reader.request()
        requests.append(request)
        if !request.keepsAlive { return (requests, false) }
      } catch {
        return (requests, error is Refused)
      }
    }
  }

  private mutating func byte() throws -> UInt8 {
    guard let byte = rest.popFirst() else { throw Incomplete() }
    return byte
  }

  private mutating func line(_ left: inout Int) throws -> [UInt8] {
    var line: [UInt8] = []
    while true {
      guard !rest.isEmpty else { throw Incomplete() }
      left -= 1
      guard left >= 0 else { throw Refused() }
      let next = try byte()
      if next == 13 {
        guard !rest.isEmpty else { throw Incomplete() }
        left -= 1
        guard left >= 0, try byte() == 10 else { throw Refused() }
        return line
      }
      guard next == 9 || (next >= 32 && next != 127) else { throw Refused() }
      line.append(next)
    }
  }

  private mutating func lines(skipsEmpty: Bool) throws -> [[UInt8]] {
    var left = Outcome.headBytesMax
    var lines: [[UInt8]] = []
    var mayskip = skipsEmpty
    while true {
      let line = try line(&left)
      if line.isEmpty {
        if lines.isEmpty, mayskip {
          mayskip = false
          continue
        }
        return lines
      }
      lines.append(line)
    }
  }

  private static let tokenBytes = Set(
    "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8)

  private static func trimmed(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
    Array(bytes.drop { $0 == 32 || $0 == 9 }.reversed().drop { $0 == 32 || $0 == 9 }.reversed())
  }

  private static func lower(_ bytes: some Sequence<UInt8>) -> String {
    String(decoding: bytes.map { (65...90).contains($0) ? $0 + 32 : $0 }, as: UTF8.self)
  }

  private static func field(_ line: [UInt8]) throws -> (name: String, value: [UInt8]) {
    guard let colon = line.firstIndex(of: 58), colon > 0, line[..<colon].allSatisfy(tokenBytes.contains) else {
      throw Refused()
    }
    return (lower(line[..<colon]), trimmed(line[(colon + 1)...]))
  }

  private mutating func request() throws -> Parsed {
    let lines = try lines(skipsEmpty: true)
    guard let first = lines.first else { throw Refused() }
    let words = first.split(separator: 32, omittingEmptySubsequences: false)
    guard words.count == 3, !words[0].isEmpty, words[0].allSatisfy(Self.tokenBytes.contains), !words[1].isEmpty,
      words[1].allSatisfy({ (33...126).contains($0) })
    else { throw Refused() }
    let version = String(decoding: words[2], as: UTF8.self)
    guard version == "HTTP/1.1" || version == "HTTP/1.0", lines.count <= 101 else { throw Refused() }
    let methods: [String: HTTPMethod] = [
      "GET": .get, "HEAD": .head, "POST": .post, "PUT": .put, "DELETE": .delete, "OPTIONS": .options,
    ]
    let method = methods[String(decoding: words[0], as: UTF8.self)] ?? .other
    let target = Array(words[1])
    guard target[0] == 47 || (method == .options && target == [42]), !target.contains(35) else { throw Refused() }
    let parts = target.split(separator: 63, maxSplits: 1, omittingEmptySubsequences: false)
    let fields = try lines.dropFirst().map { try Self.field($0) }
    func values(_ name: String) -> [[UInt8]] { fields.filter { $0.name == name }.map(\.value) }
    let hosts = values("host").map { String(decoding: $0, as: UTF8.self) }
    guard hosts.count == 1 || (hosts.isEmpty && version == "HTTP/1.0"), hosts.allSatisfy(Self.isHost) else {
      throw Refused()
    }
    let options = values("connection").flatMap { $0.split(separator: 44).map { Self.lower(Self.trimmed($0)) } }
    guard version == "HTTP/1.0" || values("expect").allSatisfy({ Self.lower($0) == "100-continue" }) else {
      throw Refused()
    }
    let body = try body(values("content-length"), values("transfer-encoding"), version)
    let keeps = !options.contains("close") && (version == "HTTP/1.1" || options.contains("keep-alive"))
    return Parsed(
      method, String(decoding: parts[0], as: UTF8.self),
      query: parts.count > 1 ? String(decoding: parts[1], as: UTF8.self) : nil, host: hosts.first, keepsAlive: keeps,
      body: body)
  }

  private static func isHost(_ host: String) -> Bool {
    var name = Array(host.utf8)
    if let colon = name.lastIndex(of: 58), !name[colon...].contains(93) {
      let port = name[(colon + 1)...]
      guard port.count <= 5, port.allSatisfy({ (48...57).contains($0) }) else { return false }
      name = Array(name[..<colon])
    }
    if name.first == 91 {
      return name.count > 2 && name.last == 93
        && name[1..<(name.count - 1)].allSatisfy("0123456789abcdefABCDEF:.".utf8.contains)
    }
    let letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-_"
    return !name.isEmpty && name.allSatisfy(letters.utf8.contains)
  }

  private mutating func body(_ lengths: [[UInt8]], _ codings: [[UInt8]], _ version: String) throws -> [UInt8] {
    guard lengths.count + codings.count <= 1 else { throw Refused() }
    if let text = lengths.first {
      guard !text.isEmpty, text.allSatisfy({ (48...57).contains($0) }) else { throw Refused() }
      let digits = text.drop { $0 == 48 }
      guard digits.count < 5, let length = Int("0" + String(decoding: digits, as: UTF8.self)),
        length <= Outcome.bodyBytesMax
      else { throw Refused() }
      return try (0..<length).map { _ in try byte() }
    }
    guard let coding = codings.first else { return [] }
    guard version == "HTTP/1.1", Self.lower(coding) == "chunked" else { throw Refused() }
    var body: [UInt8] = []
    while true {
      let size = try chunkSize(bodyBytes: body.count)
      if size == 0 {
        for line in try lines(skipsEmpty: false) { _ = try Self.field(line) }
        return body
      }
      for _ in 0..<size { body.append(try byte()) }
      guard try byte() == 13 else { throw Refused() }
      guard try byte() == 10 else { throw Refused() }
    }
  }

  private mutating func chunkSize(bodyBytes: Int) throws -> Int {
    var size = 0
    var taken = 0
    var hasEnded = false
    while true {
      let next = try byte()
      taken += 1
      guard taken <= 256 else { throw Refused() }
      if !hasEnded, let digit = Character(Unicode.Scalar(next)).hexDigitValue, next < 128 {
        size = size * 16 + digit
        guard bodyBytes + size <= Outcome.bodyBytesMax else { throw Refused() }
      } else if taken == 1 {
        throw Refused()
      } else if next == 13 {
        guard try byte() == 10 else { throw Refused() }
        return size
      } else if !hasEnded, next == 59 {
        hasEnded = true
      } else if !hasEnded || next == 127 || (next < 32 && next != 9) {
        throw Refused()
      }
    }
  }
}
