// Walking through objects and arrays that have been validated: cheap, and nothing is checked twice.
//
// Holds: a cursor and the values it gives are good until the next `parse` of the reader they come from.
// Leaves to others: validation (the scanner), values read by field name (a second `RequestReader`, `parseValidated`).

/// One value inside a validated line.
public struct JSONValue {
  /// The value byte for byte, without white space around it.
  public let raw: UnsafeRawBufferPointer
  let arena: ScratchArena

  /// The kind of the value.
  public var kind: JSONKind { JSONKind(firstByte: raw[0]) }

  /// The decoded bytes of a string; nil for another kind. O(length); a string with escapes takes new memory of the reader
  /// each time, so ask once.
  public func string() -> UnsafeRawBufferPointer? {
    guard kind == .string else { return nil }
    return ValidatedJSON.text(ofString: raw, arena: arena)
  }

  /// The text of a string; nil for another kind. O(length).
  public func text() -> String? { string().map { String(decoding: $0, as: UTF8.self) } }

  /// An integer of 64 bits; nil for anything else.
  public func integer() -> Int64? {
    guard kind == .number, case .value(let value) = JSONInteger.value(of: raw) else { return nil }
    return value
  }

  /// `true` or `false`; nil for another kind.
  public func boolean() -> Bool? { kind == .true ? true : kind == .false ? false : nil }

  /// A cursor over an object; nil for another kind.
  public func object() -> ObjectCursor? {
    kind == .object ? ObjectCursor(validated: raw, arena: arena) : nil
  }

  /// A cursor over an array; nil for another kind.
  public func array() -> ArrayCursor? {
    kind == .array ? ArrayCursor(validated: raw, arena: arena) : nil
  }
}

/// Walks through an object in the order of the line.
public struct ObjectCursor {
  private var walk: ContainerWalk

  init(validated raw: UnsafeRawBufferPointer, arena: ScratchArena) {
    walk = ContainerWalk(validated: raw, arena: arena)
  }

  /// The next key, decoded, and its value; nil after the last one.
  public mutating func next() -> (key: UnsafeRawBufferPointer, value: JSONValue)? {
    guard let key = walk.next(), let value = walk.next() else { return nil }
    return (ValidatedJSON.text(ofString: key.raw, arena: key.arena), value)
  }

  /// The next value, its key passed over.
  public mutating func nextValue() -> JSONValue? { walk.next() == nil ? nil : walk.next() }
}

/// Walks through an array.
public struct ArrayCursor {
  private var walk: ContainerWalk

  init(validated raw: UnsafeRawBufferPointer, arena: ScratchArena) {
    walk = ContainerWalk(validated: raw, arena: arena)
  }

  /// The next value; nil after the last one.
  public mutating func next() -> JSONValue? { walk.next() }
}

/// Walks through an object or array: keys and values alike, one after the other.
private struct ContainerWalk {
  private var place: Place
  private let end: Place
  private let arena: ScratchArena

  init(validated raw: UnsafeRawBufferPointer, arena: ScratchArena) {
    (place, end) = ValidatedJSON.bounds(raw)
    place += 1
    self.arena = arena
  }

  /// The next key or value; nil at the closing bracket.
  mutating func next() -> JSONValue? {
    place = ValidatedJSON.skipFiller(place, end)
    guard place < end, place[0] != UInt8(ascii: "}"), place[0] != UInt8(ascii: "]") else { return nil }
    return JSONValue(raw: ValidatedJSON.takeValue(&place, end), arena: arena)
  }
}

/// Moving about in validated text.
enum ValidatedJSON {
  @inline(__always) static func bounds(_ raw: UnsafeRawBufferPointer) -> (Place, Place) {
    let start = raw.baseAddress!.assumingMemoryBound(to: UInt8.self)
    return (start, start + raw.count)
  }

  /// The first byte that is neither white space nor a separator.
  @inline(__always) static func skipFiller(_ start: Place, _ end: Place) -> Place {
    var place = start
    while place < end, place[0] <= 0x20 || place[0] == UInt8(ascii: ",") || place[0] == UInt8(ascii: ":") { place += 1 }
    return place
  }

  /// The value that begins at `place`, which moves behind it.
  static func takeValue(_ place: inout Place, _ end: Place) -> UnsafeRawBufferPointer {
    let start = place
    switch start[0] {
    case UInt8(ascii: "\""): place = endOfString(start, end)
    case UInt8(ascii: "{"), UInt8(ascii: "["): place = endOfContainer(start, end)
    default: while place < end, !isDelimiter(place[0]) { place += 1 }
    }
    return UnsafeRawBufferPointer(start: start, count: place - start)
  }

  /// The decoded bytes of a string with its quotes.
  static func text(ofString raw: UnsafeRawBufferPointer, arena: ScratchArena) -> UnsafeRawBufferPointer {
    var text = KeySpan(start: bounds(raw).0 + 1, count: raw.count - 2)
    if raw.contains(UInt8(ascii: "\\")) { text = JSONEscapes.decode(text, into: arena) }
    return UnsafeRawBufferPointer(start: text.start, count: text.count)
  }

  @inline(__always) private static func isDelimiter(_ byte: UInt8) -> Bool {
    byte <= 0x20 || byte == UInt8(ascii: ",") || byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]")
  }

  private static func endOfString(_ quote: Place, _ end: Place) -> Place {
    var place = quote + 1
    while true {
      while end - place >= 8 {
        let marks = ByteWords.quotesAndBackslashes(in: ByteWords.load(place))
        if marks != 0 {
          place += ByteWords.first(marks)
          break
        }
        place += 8
      }
      if place[0] == UInt8(ascii: "\"") { return place + 1 }
      place += place[0] == UInt8(ascii: "\\") ? 2 : 1
    }
  }

  private static func endOfContainer(_ start: Place, _ end: Place) -> Place {
    var place = start
    var depth = 0
    repeat {
      switch place[0] {
      case UInt8(ascii: "\""):
        place = endOfString(place, end)
        continue
      case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
      default: break
      }
      place += 1
    } while depth > 0
    return place
  }
}
