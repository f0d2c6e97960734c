// The fields of a request by name and type.
//
// Holds: a field that is not there is nil; a field of another type than asked for, `null` included, is refused by name.
// Leaves to others: ranges and meanings.

extension RequestReader {
  /// The kind of the field's value.
  public func kind(of field: FieldName) -> JSONKind? { has(field) ? fields.pointee.slots[field.index].kind : nil }

  /// The field's value byte for byte, whatever it is, without the white space around it.
  public func raw(_ field: FieldName) -> UnsafeRawBufferPointer? {
    guard has(field) else { return nil }
    return UnsafeRawBufferPointer(
      start: fields.pointee.slots[field.index].start, count: fields.pointee.slots[field.index].count)
  }

  /// The bytes of a string, decoded: valid UTF-8.
  ///
  /// - Complexity: O(1) without escapes; O(length) the first time with escapes.
  public func string(_ field: FieldName) throws(Refusal) -> UnsafeRawBufferPointer? {
    guard has(field) else { return nil }
    let slot = fields.pointee.slots + field.index
    guard slot.pointee.kind == .string else { throw wrongType(field, "a string") }
    if slot.pointee.escaped {
      slot.pointee.text = JSONEscapes.decode(slot.pointee.text, into: arena)
      slot.pointee.escaped = false
    }
    return UnsafeRawBufferPointer(start: slot.pointee.text.start, count: slot.pointee.text.count)
  }

  /// A string as a `String`, for what is not on the hot path.
  public func text(_ field: FieldName) throws(Refusal) -> String? {
    guard let bytes = try string(field) else { return nil }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// An integer: no fraction, no exponent, within 64 bits.
  public func integer(_ field: FieldName) throws(Refusal) -> Int64? {
    guard has(field) else { return nil }
    let slot = fields.pointee.slots[field.index]
    guard slot.kind == .number else { throw wrongType(field, "an integer") }
    switch JSONInteger.value(of: UnsafeRawBufferPointer(start: slot.start, count: slot.count)) {
    case .value(let value): return value
    case .outOfRange: throw .badRequest("field '\(field.rawValue)' is out of range: it must fit into 64 bits")
    case .notAnInteger:
      throw .badRequest("field '\(field.rawValue)' must be an integer, without fraction or exponent")
    }
  }

  /// `true` or `false`.
  public func boolean(_ field: FieldName) throws(Refusal) -> Bool? {
    guard let kind = kind(of: field) else { return nil }
    guard kind == .true || kind == .false else { throw wrongType(field, "true or false") }
    return kind == .true
  }

  /// An object, to walk through.
  public func object(_ field: FieldName) throws(Refusal) -> ObjectCursor? {
    guard let kind = kind(of: field) else { return nil }
    guard kind == .object else { throw wrongType(field, "an object") }
    return ObjectCursor(validated: raw(field)!, arena: arena)
  }

  /// An array, to walk through.
  public func array(_ field: FieldName) throws(Refusal) -> ArrayCursor? {
    guard let kind = kind(of: field) else { return nil }
    guard kind == .array else { throw wrongType(field, "an array") }
    return ArrayCursor(validated: raw(field)!, arena: arena)
  }

  /// An array of strings.
  public func strings(_ field: FieldName) throws(Refusal) -> [String]? {
    guard has(field) else { return nil }
    guard kind(of: field) == .array else { throw wrongType(field, "an array of strings") }
    var strings: [String] = []
    var cursor = ArrayCursor(validated: raw(field)!, arena: arena)
    while let value = cursor.next() {
      guard let bytes = value.string() else { throw wrongElement(field, "an array of strings", value.kind) }
      strings.append(String(decoding: bytes, as: UTF8.self))
    }
    return strings
  }

  /// An array of integers.
  public func integers(_ field: FieldName) throws(Refusal) -> [Int64]? {
    guard has(field) else { return nil }
    guard kind(of: field) == .array else { throw wrongType(field, "an array of integers") }
    var integers: [Int64] = []
    var cursor = ArrayCursor(validated: raw(field)!, arena: arena)
    while let value = cursor.next() {
      guard value.kind == .number else { throw wrongElement(field, "an array of integers", value.kind) }
      guard let integer = value.integer() else {
        throw .badRequest("field '\(field.rawValue)' must be an array of integers that fit into 64 bits")
      }
      integers.append(integer)
    }
    return integers
  }

  /// An object whose values are all strings, such as `headers`: byte for byte, and checked.
  public func objectOfStrings(_ field: FieldName) throws(Refusal) -> UnsafeRawBufferPointer? {
    guard has(field) else { return nil }
    guard kind(of: field) == .object else { throw wrongType(field, "an object of strings") }
    let raw = raw(field)!
    var cursor = ObjectCursor(validated: raw, arena: arena)
    while let value = cursor.nextValue() {
      guard value.kind == .string else { throw wrongElement(field, "an object of strings", value.kind) }
    }
    return raw
  }

  /// The request's `rid` as it stands in the line, to be echoed: a string of at most 128 bytes, or an integer.
  public func rid() throws(Refusal) -> UnsafeRawBufferPointer? {
    guard let raw = raw(.rid) else { return nil }
    if kind(of: .rid) == .string, try string(.rid)!.count <= Self.ridBytesMax { return raw }
    if kind(of: .rid) == .number, raw.count <= Self.ridBytesMax, JSONInteger.value(of: raw) != .notAnInteger {
      return raw
    }
    throw .badRequest("field 'rid' must be a string of at most 128 bytes or an integer")
  }

  /// The longest `rid`, in bytes: of the decoded string, or of an integer's digits.
  public static let ridBytesMax = 128

  private func wrongType(_ field: FieldName, _ wanted: String) -> Refusal {
    .badRequest("field '\(field.rawValue)' must be \(wanted), not \(fields.pointee.slots[field.index].kind.words)")
  }

  private func wrongElement(_ field: FieldName, _ wanted: String, _ kind: JSONKind) -> Refusal {
    .badRequest("field '\(field.rawValue)' must be \(wanted), but has \(kind.words) in it")
  }
}
