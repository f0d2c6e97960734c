// Field values as a tree of their own: arguments that are kept, and tables that we write (server properties, x-death).
//
// Holds: what was decoded encodes to the same bytes, except that `L` becomes `l` and a boolean 0 or 1.
// Leaves to others: a publisher's headers, which stay as they came (FieldTable).

import Primitives

/// A value.
public enum FieldValue: Equatable, Sendable {
  case void
  case boolean(Bool)
  case int8(Int8)
  case uint8(UInt8)
  case int16(Int16)
  case uint16(UInt16)
  case int32(Int32)
  case uint32(UInt32)
  case int64(Int64)
  case float(Float)
  case double(Double)
  /// `unscaled` × 10 to the power of −`scale`.
  case decimal(scale: UInt8, unscaled: Int32)
  /// Seconds since 1970.
  case timestamp(UInt64)
  case string([UInt8])
  case bytes([UInt8])
  case array([FieldValue])
  case table([FieldEntry])

  /// A string of this text.
  public static func text(_ text: String) -> FieldValue { .string(Array(text.utf8)) }

  /// Decodes a value with all that is in it; nil when that is malformed or nested too deeply.
  public init?(_ view: FieldView) { self.init(view, depth: 1) }

  fileprivate init?(_ view: FieldView, depth: Int) {
    let octets = view.bytes
    switch view.type {
    case .void: self = .void
    case .boolean: self = .boolean(octets[0] != 0)
    case .int8: self = .int8(octets.number(0, Int8.self))
    case .uint8: self = .uint8(octets[0])
    case .int16: self = .int16(octets.number(0, Int16.self))
    case .uint16: self = .uint16(octets.number(0, UInt16.self))
    case .int32: self = .int32(octets.number(0, Int32.self))
    case .uint32: self = .uint32(octets.number(0, UInt32.self))
    case .int64, .int64Capital: self = .int64(octets.number(0, Int64.self))
    case .float: self = .float(Float(bitPattern: octets.number(0, UInt32.self)))
    case .double: self = .double(Double(bitPattern: octets.number(0, UInt64.self)))
    case .decimal: self = .decimal(scale: octets[0], unscaled: octets.number(1, Int32.self))
    case .timestamp: self = .timestamp(octets.number(0, UInt64.self))
    case .string: self = .string(Array(octets))
    case .bytes: self = .bytes(Array(octets))
    case .array:
      guard let entries = FieldEntry.all(of: FieldCursor(array: octets), depth: depth + 1) else { return nil }
      self = .array(entries.map(\.value))
    case .table:
      guard let entries = FieldEntry.all(of: FieldCursor(table: octets), depth: depth + 1) else { return nil }
      self = .table(entries)
    }
  }

  /// The type that it is encoded as.
  public var type: FieldType {
    switch self {
    case .void: .void
    case .boolean: .boolean
    case .int8: .int8
    case .uint8: .uint8
    case .int16: .int16
    case .uint16: .uint16
    case .int32: .int32
    case .uint32: .uint32
    case .int64: .int64
    case .float: .float
    case .double: .double
    case .decimal: .decimal
    case .timestamp: .timestamp
    case .string: .string
    case .bytes: .bytes
    case .array: .array
    case .table: .table
    }
  }

  // Bytes without the type and without a length before them. Recursive, so that a tree costs O(values × depth).
  fileprivate var count: Int {
    switch self {
    case .string(let octets), .bytes(let octets): octets.count
    case .array(let values): values.reduce(0) { $0 + $1.countWithType }
    case .table(let entries): entries.reduce(0) { $0 + $1.encodedBytes }
    default: type.fixedBytes!
    }
  }

  fileprivate var countWithType: Int { 1 + count + (type.fixedBytes == nil ? 4 : 0) }
}

/// A field of a table: name and value.
public struct FieldEntry: Equatable, Sendable {
  /// The name, up to 255 bytes.
  public var name: [UInt8]
  /// The value.
  public var value: FieldValue

  /// Makes a field.
  ///
  /// - Precondition: the name is at most 255 bytes.
  public init(_ name: String, _ value: FieldValue) { self.init(name: Array(name.utf8), value) }

  /// Makes a field.
  ///
  /// - Precondition: the name is at most 255 bytes.
  public init(name: [UInt8], _ value: FieldValue) {
    precondition(name.count <= 255, "the name of a field is at most 255 bytes")
    self.name = name
    self.value = value
  }

  fileprivate var encodedBytes: Int { 1 + name.count + value.countWithType }

  fileprivate static func all(of fields: FieldCursor, depth: Int) -> [FieldEntry]? {
    guard depth <= FieldTable.maxDepth else { return nil }
    var fields = fields
    var entries: [FieldEntry] = []
    while let field = fields.next() {
      guard let value = FieldValue(field.value, depth: depth) else { return nil }
      entries.append(FieldEntry(name: Array(field.name), value))
    }
    return fields.isBroken ? nil : entries
  }
}

extension FieldTable {
  /// The fields as trees; nil when something is malformed or nested too deeply. O(bytes), allocates.
  public var decoded: [FieldEntry]? { FieldEntry.all(of: fields, depth: 1) }
}

extension ByteBuffer {
  /// Appends fields: the content of a table, without the length before it. O(values × depth).
  public mutating func append(fields: [FieldEntry]) {
    for entry in fields {
      append(byte: UInt8(entry.name.count))
      entry.name.withBytes { append($0) }
      append(entry.value)
    }
  }

  /// Appends a value: its type, its length where it has one, and its octets. O(values × depth).
  public mutating func append(_ value: FieldValue) {
    append(byte: value.type.rawValue)
    if value.type.fixedBytes == nil { append(number: UInt32(value.count)) }
    switch value {
    case .void: break
    case .boolean(let value): append(byte: value ? 1 : 0)
    case .int8(let number): append(number: number)
    case .uint8(let number): append(number: number)
    case .int16(let number): append(number: number)
    case .uint16(let number): append(number: number)
    case .int32(let number): append(number: number)
    case .uint32(let number): append(number: number)
    case .int64(let number): append(number: number)
    case .float(let number): append(number: number.bitPattern)
    case .double(let number): append(number: number.bitPattern)
    case .decimal(let scale, let unscaled):
      append(number: scale)
      append(number: unscaled)
    case .timestamp(let seconds): append(number: seconds)
    case .string(let octets), .bytes(let octets): octets.withBytes { append($0) }
    case .array(let values): for value in values { append(value) }
    case .table(let entries): append(fields: entries)
    }
  }

  private mutating func append<Number: FixedWidthInteger>(number: Number) {
    withUnsafeBytes(of: number.bigEndian) { append($0) }
  }
}
