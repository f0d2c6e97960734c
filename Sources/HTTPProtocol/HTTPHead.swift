// The head of a request: first line and fields, read strictly, and what they say about the body and the connection.
//
// Holds: there is one way only to say where the body ends. Where two readers could disagree (both a length and a coding, a
// length twice, a coding that is not just `chunked`) the request is refused, so that no proxy in front of this server can be
// made to see other requests than it does.
// Leaves to others: methods and paths (the server), foreign hosts and origins (`HTTPAudience`).
// Source: RFC 9112 sections 3, 5, 6, 7, 9 and 11.2; RFC 9110 sections 7.2 and 10.1.1.

struct HTTPHead {
  /// How the end of the body is told.
  enum Framing: Equatable {
    case length(Int)
    case chunked
  }

  struct Field {
    var name: Range<Int>
    var value: Range<Int>
  }

  static let fieldsMax = 100

  var method = HTTPMethod.other
  var methodName = 0..<0
  var path = 0..<0
  var query: Range<Int>?
  var isVersion11 = true
  var fields: [Field] = []
  var host: Range<Int>?
  var framing = Framing.length(0)
  var keepsAlive = true
  var expectsContinue = false

  /// Reads the lines of a head.
  ///
  /// - Parameter text: what the lines are ranges of.
  init(_ lines: [Range<Int>], _ text: UnsafeRawBufferPointer, bodyBytesMax: Int) throws(HTTPError) {
    // There is nothing in front of the empty line.
    guard let first = lines.first else { throw .badRequestLine }
    try readRequestLine(first, text)
    guard lines.count - 1 <= Self.fieldsMax else { throw .tooManyFields }
    for line in lines.dropFirst() { fields.append(try Self.field(line, text)) }
    try readHost(text)
    try readFraming(text, bodyBytesMax)
    try readConnection(text)
  }

  /// One field: a token, a colon, and a value without the blanks around it.
  static func field(_ line: Range<Int>, _ text: UnsafeRawBufferPointer) throws(HTTPError) -> Field {
    if text[line.lowerBound].isBlank { throw .foldedField }
    var colon = line.lowerBound
    while colon < line.upperBound, text[colon].isTokenByte { colon += 1 }
    guard colon < line.upperBound, text[colon] == UInt8(ascii: ":"), colon > line.lowerBound else { throw .badField }
    var value = (colon + 1)..<line.upperBound
    while let byte = value.first.map({ text[$0] }), byte.isBlank { value = value.dropFirst() }
    while let byte = value.last.map({ text[$0] }), byte.isBlank { value = value.dropLast() }
    return Field(name: line.lowerBound..<colon, value: value)
  }

  private mutating func readRequestLine(_ line: Range<Int>, _ text: UnsafeRawBufferPointer) throws(HTTPError) {
    var place = line.lowerBound
    while place < line.upperBound, text[place].isTokenByte { place += 1 }
    methodName = line.lowerBound..<place
    guard !methodName.isEmpty, place < line.upperBound, text[place] == 0x20 else { throw .badRequestLine }
    let targetStart = place + 1
    place = targetStart
    while place < line.upperBound, text[place] > 0x20, text[place] < 0x7F { place += 1 }
    guard place > targetStart, place < line.upperBound, text[place] == 0x20 else { throw .badRequestLine }
    method = HTTPMethod(text.part(methodName))
    try readVersion(text.part((place + 1)..<line.upperBound))
    try readTarget(targetStart..<place, text)
  }

  private mutating func readVersion(_ version: UnsafeRawBufferPointer) throws(HTTPError) {
    let shape: StaticString = "HTTP/"
    guard version.count == 8, (0..<5).allSatisfy({ version[$0] == shape.utf8Start[$0] }), version[5].isDigit,
      version[6] == UInt8(ascii: "."), version[7].isDigit
    else { throw .badRequestLine }
    guard version[5] == UInt8(ascii: "1"), version[7] <= UInt8(ascii: "1") else { throw .versionNotSupported }
    isVersion11 = version[7] == UInt8(ascii: "1")
  }

  // Absolute URLs are for proxies, which this server is not. With one, target and `Host` could name different hosts.
  private mutating func readTarget(_ target: Range<Int>, _ text: UnsafeRawBufferPointer) throws(HTTPError) {
    let bytes = text.part(target)
    if method == .options, bytes.isWord("*") {
      path = target
      return
    }
    guard bytes[0] == UInt8(ascii: "/"), !bytes.contains(UInt8(ascii: "#")) else { throw .badTarget }
    let mark = bytes.firstIndex(of: UInt8(ascii: "?")).map { target.lowerBound + $0 }
    path = target.lowerBound..<(mark ?? target.upperBound)
    query = mark.map { ($0 + 1)..<target.upperBound }
  }

  private func values(_ name: StaticString, _ text: UnsafeRawBufferPointer) -> [Range<Int>] {
    fields.filter { text.part($0.name).isWord(name) }.map(\.value)
  }

  private mutating func readHost(_ text: UnsafeRawBufferPointer) throws(HTTPError) {
    let hosts = values("Host", text)
    guard hosts.count <= 1 else { throw .repeatedHost }
    guard let host = hosts.first else {
      if isVersion11 { throw .missingHost }
      return
    }
    guard HTTPAudience.isHost(text.part(host)) else { throw .badHost }
    self.host = host
  }

  private mutating func readFraming(_ text: UnsafeRawBufferPointer, _ bodyBytesMax: Int) throws(HTTPError) {
    let lengths = values("Content-Length", text)
    let codings = values("Transfer-Encoding", text)
    guard lengths.isEmpty || codings.isEmpty else { throw .lengthAndCoding }
    guard lengths.count <= 1 else { throw .repeatedContentLength }
    if let length = lengths.first {
      framing = .length(try Self.length(text.part(length), bodyBytesMax))
    } else if !codings.isEmpty {
      guard isVersion11, codings.count == 1 else { throw .badTransferCoding }
      let names = text.part(codings[0])
      if !names.isWord("chunked") {
        // A coding in front of `chunked` could be known to others; whatever else it is, its end cannot be told.
        let list = names.listElements
        let isList = list.count > 1 && list.last?.isWord("chunked") == true
        throw isList && !list.dropLast().contains { $0.isWord("chunked") } ? .unknownTransferCoding : .badTransferCoding
      }
      framing = .chunked
    }
  }

  private static func length(_ text: UnsafeRawBufferPointer, _ bodyBytesMax: Int) throws(HTTPError) -> Int {
    if text.contains(UInt8(ascii: ",")) { throw .repeatedContentLength }
    guard !text.isEmpty, text.allSatisfy(\.isDigit) else { throw .badContentLength }
    var length = 0
    for digit in text {
      length = length * 10 + Int(digit - UInt8(ascii: "0"))
      // Said at the first digit that is too many, so nothing overflows.
      guard length <= bodyBytesMax else { throw .bodyTooLarge }
    }
    return length
  }

  private mutating func readConnection(_ text: UnsafeRawBufferPointer) throws(HTTPError) {
    let words = values("Connection", text).flatMap { text.part($0).listElements }
    keepsAlive = isVersion11 || words.contains { $0.isWord("keep-alive") }
    if words.contains(where: { $0.isWord("close") }) { keepsAlive = false }
    for expectation in values("Expect", text) where isVersion11 {
      guard text.part(expectation).isWord("100-continue") else { throw .unknownExpectation }
      expectsContinue = framing != .length(0)
    }
  }
}
