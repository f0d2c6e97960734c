// Validates JSON values over raw bytes, RFC 8259 to the letter, in one pass.
//
// Holds: every function takes a pointer to where its value begins and gives one to just behind it, or nil after noting
// the fault; nothing at or behind `end` is read. Duplicate keys are refused at every level but inside of a body, which is
// the user's own business, and so is nesting deeper than `depthMax`, where the request object itself has depth 1.
// Leaves to others: the request object and its fields (`JSONScanner+Request`), the values behind the text (accessors).

/// A byte of the line.
typealias Place = UnsafePointer<UInt8>

/// One scan of one line; reused for the next.
struct JSONScanner: ~Copyable {
  /// The deepest nesting accepted; the request object has depth 1.
  static let depthMax = 32

  var end: Place
  var ledger = KeyLedger()
  /// Whether the value at hand stands inside of a body.
  var isInBody = false
  /// The depth of objects whose member `body` is a message's body; 0 for none.
  var messageDepth = 0
  let arena: ScratchArena
  private(set) var fault = JSONFault.ends
  private(set) var faultAt: Place

  init(arena: ScratchArena) {
    self.arena = arena
    end = UnsafePointer(bitPattern: 1)!
    faultAt = end
  }

  /// Notes the first thing wrong and gives nil, which every caller passes on.
  @inline(never) mutating func fail(_ fault: JSONFault, at place: Place) -> Place? {
    self.fault = place >= end ? .ends : fault
    faultAt = place
    return nil
  }

  // Static, with `end` handed in: a method that only reads `self` makes the compiler copy the whole scanner, 20 % of a line.

  /// The first byte from `place` on that is not white space; `end` when there is none.
  @inline(__always) static func skipSpace(_ place: Place, _ end: Place) -> Place {
    if place < end, place[0] > 0x20 { return place }
    return skipSpaceRun(place, end)
  }

  @inline(never) private static func skipSpaceRun(_ start: Place, _ end: Place) -> Place {
    var place = start
    while place < end, place[0] == 0x20 || place[0] == 0x09 || place[0] == 0x0A || place[0] == 0x0D { place += 1 }
    return place
  }

  /// Any value, `depth` containers deep inside.
  mutating func scanValue(_ place: Place, depth: Int) -> Place? {
    guard place < end else { return fail(.ends, at: place) }
    switch place[0] {
    case UInt8(ascii: "\""): return scanString(place + 1).end
    case UInt8(ascii: "{"): return scanObject(place, depth: depth + 1)
    case UInt8(ascii: "["): return scanArray(place, depth: depth + 1)
    case UInt8(ascii: "t"): return scanLiteral(place, "true")
    case UInt8(ascii: "f"): return scanLiteral(place, "false")
    case UInt8(ascii: "n"): return scanLiteral(place, "null")
    default: return scanNumber(place)
    }
  }

  private mutating func scanObject(_ brace: Place, depth: Int) -> Place? {
    guard depth <= Self.depthMax else { return fail(.depth, at: brace) }
    var place = Self.skipSpace(brace + 1, end)
    if place < end, place[0] == UInt8(ascii: "}") { return place + 1 }
    var page = ledger.open()
    while true {
      guard let (key, next) = scanKey(place) else { return nil }
      if !isInBody {
        guard ledger.add(key, to: &page) else { return fail(.duplicate, at: place) }
      }
      let valueEnd =
        depth == messageDepth && Self.isBody(key) ? scanBody(next, depth: depth) : scanValue(next, depth: depth)
      guard let valueEnd else { return nil }
      place = Self.skipSpace(valueEnd, end)
      guard place < end else { return fail(.ends, at: place) }
      if place[0] == UInt8(ascii: "}") { break }
      guard place[0] == UInt8(ascii: ",") else { return fail(.objectSeparator, at: place) }
      place = Self.skipSpace(place + 1, end)
    }
    ledger.close(page)
    return place + 1
  }

  /// The value of a member `body`: duplicate keys in it are kept as they are.
  mutating func scanBody(_ place: Place, depth: Int) -> Place? {
    let wasInBody = isInBody
    isInBody = true
    defer { isInBody = wasInBody }
    return scanValue(place, depth: depth)
  }

  @inline(__always) private static func isBody(_ key: KeySpan) -> Bool {
    key.count == 4 && key.start[0] == UInt8(ascii: "b") && key.start[1] == UInt8(ascii: "o")
      && key.start[2] == UInt8(ascii: "d") && key.start[3] == UInt8(ascii: "y")
  }

  private mutating func scanArray(_ bracket: Place, depth: Int) -> Place? {
    guard depth <= Self.depthMax else { return fail(.depth, at: bracket) }
    var place = Self.skipSpace(bracket + 1, end)
    if place < end, place[0] == UInt8(ascii: "]") { return place + 1 }
    while true {
      guard let valueEnd = scanValue(place, depth: depth) else { return nil }
      place = Self.skipSpace(valueEnd, end)
      guard place < end else { return fail(.ends, at: place) }
      if place[0] == UInt8(ascii: "]") { return place + 1 }
      guard place[0] == UInt8(ascii: ",") else { return fail(.arraySeparator, at: place) }
      place = Self.skipSpace(place + 1, end)
    }
  }

  /// A key with its colon: the decoded key, and where the value begins.
  @inline(__always) mutating func scanKey(_ place: Place) -> (key: KeySpan, value: Place)? {
    guard place < end, place[0] == UInt8(ascii: "\"") else {
      _ = fail(.name, at: place)
      return nil
    }
    let (keyEnd, escaped) = scanString(place + 1)
    guard let keyEnd else { return nil }
    var key = KeySpan(start: place + 1, count: keyEnd - place - 2)
    if escaped { key = JSONEscapes.decode(key, into: arena) }
    let colon = Self.skipSpace(keyEnd, end)
    guard colon < end, colon[0] == UInt8(ascii: ":") else {
      _ = fail(.colon, at: colon)
      return nil
    }
    return (key, Self.skipSpace(colon + 1, end))
  }

  private mutating func scanLiteral(_ place: Place, _ text: StaticString) -> Place? {
    let letters = text.utf8Start
    for index in 0..<text.utf8CodeUnitCount {
      guard place + index < end, place[index] == letters[index] else { return fail(.value, at: place + index) }
    }
    return place + text.utf8CodeUnitCount
  }

  mutating func scanNumber(_ start: Place) -> Place? {
    var place = start
    if place[0] == UInt8(ascii: "-") { place += 1 }
    guard place < end, Self.isDigit(place[0]) else { return fail(place == start ? .value : .number, at: place) }
    place = place[0] == UInt8(ascii: "0") ? place + 1 : Self.skipDigits(place, end)
    if place < end, place[0] == UInt8(ascii: ".") {
      place += 1
      guard place < end, Self.isDigit(place[0]) else { return fail(.number, at: place) }
      place = Self.skipDigits(place, end)
    }
    if place < end, place[0] | 0x20 == UInt8(ascii: "e") {
      place += 1
      if place < end, place[0] == UInt8(ascii: "+") || place[0] == UInt8(ascii: "-") { place += 1 }
      guard place < end, Self.isDigit(place[0]) else { return fail(.number, at: place) }
      place = Self.skipDigits(place, end)
    }
    return place
  }

  @inline(__always) private static func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }

  @inline(__always) private static func skipDigits(_ start: Place, _ end: Place) -> Place {
    var place = start
    while place < end, Self.isDigit(place[0]) { place += 1 }
    return place
  }
}
