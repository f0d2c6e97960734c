// Field tables and arrays as they lie in the bytes: views and a cursor, nothing decoded ahead, nothing copied.
//
// A table is a run of fields: u8 length and name, u8 type, value. An array is a run of types and values. Both stand behind a
// u32 with their length, which is not part of the views here.
//
// Holds: a cursor never leaves its bytes, well formed or not; nesting is followed to `maxDepth` levels and no deeper.
// Leaves to others: trees that outlive the bytes, and encoding (FieldValue).
// Source: RabbitMQ's reading of the type letters (amqp-0-9-1-errata), which differs from the specification's.

/// The type of a value: the letter that stands before it.
public enum FieldType: UInt8, CaseIterable, Sendable {
  /// `t`, one octet.
  case boolean = 0x74
  /// `b`
  case int8 = 0x62
  /// `B`
  case uint8 = 0x42
  /// `s`
  case int16 = 0x73
  /// `u`
  case uint16 = 0x75
  /// `I`
  case int32 = 0x49
  /// `i`
  case uint32 = 0x69
  /// `l`
  case int64 = 0x6C
  /// `L`, signed as well
  case int64Capital = 0x4C
  /// `f`
  case float = 0x66
  /// `d`
  case double = 0x64
  /// `D`: u8 digits behind the point, i32 the number without it.
  case decimal = 0x44
  /// `T`: u64 seconds since 1970.
  case timestamp = 0x54
  /// `V`, no octets.
  case void = 0x56
  /// `S`, any bytes, mostly text.
  case string = 0x53
  /// `x`
  case bytes = 0x78
  /// `A`
  case array = 0x41
  /// `F`
  case table = 0x46

  /// Octets of a value; nil when a u32 with the length stands before it.
  var fixedBytes: Int? {
    switch self {
    case .void: 0
    case .boolean, .int8, .uint8: 1
    case .int16, .uint16: 2
    case .int32, .uint32, .float: 4
    case .decimal: 5
    case .int64, .int64Capital, .double, .timestamp: 8
    case .string, .bytes, .array, .table: nil
    }
  }
}

/// One value of a table or array; good as long as the bytes.
public struct FieldView {
  /// Its type.
  public let type: FieldType
  /// Its octets, without type and length.
  public let bytes: UnsafeRawBufferPointer

  /// An integer of any width; nil for another type.
  public var integer: Int64? {
    switch type {
    case .int8: Int64(bytes.number(0, Int8.self))
    case .uint8: Int64(bytes.number(0, UInt8.self))
    case .int16: Int64(bytes.number(0, Int16.self))
    case .uint16: Int64(bytes.number(0, UInt16.self))
    case .int32: Int64(bytes.number(0, Int32.self))
    case .uint32: Int64(bytes.number(0, UInt32.self))
    case .int64, .int64Capital: bytes.number(0, Int64.self)
    default: nil
    }
  }

  /// A float or double; nil for another type.
  public var double: Double? {
    switch type {
    case .float: Double(Float(bitPattern: bytes.number(0, UInt32.self)))
    case .double: Double(bitPattern: bytes.number(0, UInt64.self))
    default: nil
    }
  }

  /// True or false; nil for another type.
  public var boolean: Bool? { type == .boolean ? bytes[0] != 0 : nil }
  /// The bytes of a string (`S`); nil for another type.
  public var string: UnsafeRawBufferPointer? { type == .string ? bytes : nil }
  /// A table; nil for another type.
  public var table: FieldTable? { type == .table ? FieldTable(bytes) : nil }
  /// A cursor over an array, whose names are empty; nil for another type.
  public var array: FieldCursor? { type == .array ? FieldCursor(array: bytes) : nil }
}

/// A table where it lies.
public struct FieldTable {
  /// How many tables and arrays may stand in each other.
  public static let maxDepth = 64

  /// The fields, without the length before them.
  public let bytes: UnsafeRawBufferPointer

  /// Looks at the fields of a table.
  public init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  /// A table without fields.
  public static var empty: FieldTable { FieldTable(.none) }

  /// Whether every name, type and length is right, all the way down. O(bytes), no allocation.
  public var isWellFormed: Bool { Self.isWellFormed(fields, depth: 1) }

  /// A cursor over the fields, in the order of the bytes.
  public var fields: FieldCursor { FieldCursor(table: bytes) }

  /// The first field of this name. O(fields).
  public subscript(name: StaticString) -> FieldView? {
    for field in fields where field.isNamed(name) { return field.value }
    return nil
  }

  private static func isWellFormed(_ fields: FieldCursor, depth: Int) -> Bool {
    guard depth <= maxDepth else { return false }
    var fields = fields
    while let field = fields.next() {
      guard let inner = field.value.table?.fields ?? field.value.array else { continue }
      guard isWellFormed(inner, depth: depth + 1) else { return false }
    }
    return !fields.isBroken
  }
}

/// Walks through a table or an array.
public struct FieldCursor: Sequence, IteratorProtocol {
  /// One field.
  public struct Element {
    /// The name; empty in an array.
    public let name: UnsafeRawBufferPointer
    /// The value.
    public let value: FieldView
    /// The whole field, name and all, to be copied as it is.
    public let raw: UnsafeRawBufferPointer

    /// Whether it has this name.
    public func isNamed(_ text: StaticString) -> Bool {
      name.elementsEqual(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }
  }

  private let bytes: UnsafeRawBufferPointer
  private let hasNames: Bool
  private var offset = 0
  /// Whether the walk ended early at something malformed.
  public private(set) var isBroken = false

  /// Walks through the fields of a table.
  public init(table bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
    hasNames = true
  }

  /// Walks through the values of an array.
  public init(array bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
    hasNames = false
  }

  /// The next field; nil after the last one, and at the first that is malformed. O(1).
  public mutating func next() -> Element? {
    guard offset < bytes.count else { return nil }
    let start = offset
    guard let name = hasNames ? take(prefixed: UInt8.self) : UnsafeRawBufferPointer.none,
      let letter = take(1), let type = FieldType(rawValue: letter[0]), let value = take(type)
    else {
      isBroken = true
      offset = bytes.count
      return nil
    }
    return Element(
      name: name, value: FieldView(type: type, bytes: value),
      raw: UnsafeRawBufferPointer(rebasing: bytes[start..<offset]))
  }

  private mutating func take(_ type: FieldType) -> UnsafeRawBufferPointer? {
    if let count = type.fixedBytes { take(count) } else { take(prefixed: UInt32.self) }
  }

  private mutating func take<Length: FixedWidthInteger>(prefixed _: Length.Type) -> UnsafeRawBufferPointer? {
    guard let length = take(MemoryLayout<Length>.size) else { return nil }
    return take(Int(length.number(0, Length.self)))
  }

  private mutating func take(_ count: Int) -> UnsafeRawBufferPointer? {
    guard count <= bytes.count - offset else { return nil }
    defer { offset += count }
    return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count])
  }
}
