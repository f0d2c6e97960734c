// The outermost object of a line: validated like any other, and its fields noted by name.

/// The kind of a JSON value.
public enum JSONKind: UInt8, Sendable {
  case string, number, object, array, `true`, `false`, null

  /// The kind of the valid value that begins with this byte.
  @inline(__always) init(firstByte: UInt8) {
    switch firstByte {
    case UInt8(ascii: "\""): self = .string
    case UInt8(ascii: "{"): self = .object
    case UInt8(ascii: "["): self = .array
    case UInt8(ascii: "t"): self = .true
    case UInt8(ascii: "f"): self = .false
    case UInt8(ascii: "n"): self = .null
    default: self = .number
    }
  }

  /// With its article, for messages.
  var words: String {
    switch self {
    case .string: "a string"
    case .number: "a number"
    case .object: "an object"
    case .array: "an array"
    case .true: "true"
    case .false: "false"
    case .null: "null"
    }
  }
}

/// Where a field's value stands in the line, and what it is.
struct FieldSlot {
  var start: Place
  var count: Int
  var kind: JSONKind
  // A string with an escape that has not been decoded yet.
  var escaped: Bool
  // The string's bytes, once they are known: without escapes at once, with escapes when first asked for.
  var text: KeySpan
}

/// What the scan of a request object found: written by the scanner, read by the accessors.
struct RequestFields: ~Copyable {
  /// The value of each field of the table, by index; only those in `present` mean anything.
  let slots = UnsafeMutablePointer<FieldSlot>.allocate(capacity: FieldName.count)
  /// A bit for each field that the object has. In memory by the word, as it is written and read.
  let present = UnsafeMutablePointer<UInt64>.allocate(capacity: 4)
  /// The first key that is not in the table, decoded, and where it stands.
  var unknown: KeySpan?
  var unknownAt: Place?

  init() { clear() }

  deinit {
    slots.deallocate()
    present.deallocate()
  }

  /// No fields.
  mutating func clear() {
    present.update(repeating: 0, count: 4)
    unknown = nil
    unknownAt = nil
  }

  @inline(__always) func has(_ index: Int) -> Bool { present[index >> 6] >> UInt64(index & 63) & 1 == 1 }

  /// Notes that the field is there; false when it was noted before.
  @inline(__always) func note(_ index: Int) -> Bool {
    let bit: UInt64 = 1 << UInt64(index & 63)
    let word = present[index >> 6]
    present[index >> 6] = word | bit
    return word & bit == 0
  }
}

extension JSONScanner {
  /// Validates the whole line and notes the fields it has; false after a fault.
  mutating func scanRequest(
    _ line: UnsafeRawBufferPointer, names: borrowing NameTable, fields: inout RequestFields
  ) -> Bool {
    fields.clear()
    guard let base = line.baseAddress else { return false }
    let start = base.assumingMemoryBound(to: UInt8.self)
    end = start + line.count
    ledger.reset()
    isInBody = false
    messageDepth = 0
    var place = Self.skipSpace(start, end)
    guard place < end, place[0] == UInt8(ascii: "{") else { return fail(.notAnObject, at: place) != nil }
    place = Self.skipSpace(place + 1, end)
    if place < end, place[0] == UInt8(ascii: "}") { return expectEnd(place + 1) }
    var page = ledger.open()
    while true {
      guard let (key, valueStart) = scanKey(place) else { return false }
      let index = key.count == 0 ? -1 : names.index(of: key.start, count: key.count)
      if index >= 0 {
        guard fields.note(index) else { return fail(.duplicate, at: place) != nil }
      } else {
        guard ledger.add(key, to: &page) else { return fail(.duplicate, at: place) != nil }
        if fields.unknown == nil { (fields.unknown, fields.unknownAt) = (key, place) }
      }
      guard let valueEnd = scanField(valueStart, index, fields.slots) else { return false }
      place = Self.skipSpace(valueEnd, end)
      guard place < end else { return fail(.ends, at: place) != nil }
      if place[0] == UInt8(ascii: "}") { return expectEnd(place + 1) }
      guard place[0] == UInt8(ascii: ",") else { return fail(.objectSeparator, at: place) != nil }
      place = Self.skipSpace(place + 1, end)
    }
  }

  @inline(__always)
  private mutating func scanField(_ place: Place, _ index: Int, _ slots: UnsafeMutablePointer<FieldSlot>) -> Place? {
    guard place < end else { return fail(.ends, at: place) }
    let slot = index < 0 ? nil : slots + index
    if place[0] == UInt8(ascii: "\"") {
      let (valueEnd, escaped) = scanString(place + 1)
      guard let valueEnd else { return nil }
      let text = KeySpan(start: place + 1, count: valueEnd - place - 2)
      slot?.initialize(
        to: FieldSlot(start: place, count: valueEnd - place, kind: .string, escaped: escaped, text: text))
      return valueEnd
    }
    guard let valueEnd = scanOther(place, index) else { return nil }
    let kind = JSONKind(firstByte: place[0])
    slot?.initialize(
      to: FieldSlot(
        start: place, count: valueEnd - place, kind: kind, escaped: false, text: KeySpan(start: place, count: 0)))
    return valueEnd
  }

  /// A value that is no string. The messages of a batch stand in objects two levels below their field.
  private mutating func scanOther(_ place: Place, _ index: Int) -> Place? {
    if index == FieldName.body.index { return scanBody(place, depth: 1) }
    messageDepth = index == FieldName.messages.index ? 3 : 0
    return scanValue(place, depth: 1)
  }

  private mutating func expectEnd(_ place: Place) -> Bool {
    let rest = Self.skipSpace(place, end)
    return rest == end ? true : fail(.trailing, at: rest) != nil
  }
}
