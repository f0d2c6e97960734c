// Values of tables (arguments, headers), whatever wire they came by: compared, and written as JSON.
//
// Holds: numbers that are no 64-bit integers are kept as they were written.

import LineProtocol
import Primitives

/// A value of a table.
public indirect enum JSONTree: Equatable, Sendable {
  case null
  case boolean(Bool)
  case integer(Int64)
  /// A number with a fraction, an exponent or too many digits, as it was written.
  case number([UInt8])
  /// Seconds since 1970; an integer in JSON.
  case timestamp(UInt64)
  case string(Text)
  /// Bytes that are no UTF-8 text; a string of Base64 in JSON.
  case bytes([UInt8])
  case array([JSONTree])
  case object([Member])

  /// A key and its value.
  public struct Member: Equatable, Sendable {
    /// The key.
    public var key: Text
    /// The value.
    public var value: JSONTree

    /// Puts the two together.
    public init(_ key: Text, _ value: JSONTree) {
      self.key = key
      self.value = value
    }
  }

  /// Takes a value out of a line.
  public init(_ value: JSONValue) {
    switch value.kind {
    case .string: self = .string(Text(value.string()!))
    case .number: self = value.integer().map { .integer($0) } ?? .number(Array(value.raw))
    case .true: self = .boolean(true)
    case .false: self = .boolean(false)
    case .null: self = .null
    case .array:
      var elements: [JSONTree] = []
      var cursor = value.array()!
      while let element = cursor.next() { elements.append(JSONTree(element)) }
      self = .array(elements)
    case .object: self = .object(Self.members(value.object()!))
    }
  }

  /// The members of an object.
  public static func members(_ cursor: ObjectCursor) -> [Member] {
    var cursor = cursor
    var members: [Member] = []
    while let (key, value) = cursor.next() { members.append(Member(Text(key), JSONTree(value))) }
    return members
  }

  /// The value under a key of an object.
  public subscript(_ key: Text) -> JSONTree? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.key == key }?.value
  }

  var text: Text? { if case .string(let text) = self { text } else { nil } }
  var integer: Int64? {
    switch self {
    case .integer(let value): value
    case .timestamp(let seconds): Int64(clamping: seconds)
    default: nil
    }
  }

  /// Appends it as JSON.
  public func write(to out: inout ByteBuffer) {
    switch self {
    case .null: out.append("null")
    case .boolean(let value): out.appendBoolean(value)
    case .integer(let value): out.appendInteger(value)
    case .number(let bytes): bytes.withUnsafeBytes { out.append($0) }
    case .timestamp(let seconds): out.appendInteger(seconds)
    case .string(let text): text.write(to: &out)
    case .bytes(let bytes):
      out.append("\"")
      bytes.withUnsafeBytes { out.appendBase64($0) }
      out.append("\"")
    case .array(let elements):
      out.append("[")
      for (place, element) in elements.enumerated() {
        if place > 0 { out.append(",") }
        element.write(to: &out)
      }
      out.append("]")
    case .object(let members):
      out.append("{")
      for (place, member) in members.enumerated() {
        if place > 0 { out.append(",") }
        member.key.write(to: &out)
        out.append(":")
        member.value.write(to: &out)
      }
      out.append("}")
    }
  }

  /// The name of its type in AMQP's tables.
  var typeName: String {
    switch self {
    case .null: "void"
    case .boolean: "bool"
    case .integer: "long"
    case .number: "double"
    case .timestamp: "timestamp"
    case .string: "longstr"
    case .bytes: "binary"
    case .array: "array"
    case .object: "table"
    }
  }

  /// Whether two values say the same: numbers by their value, however they were written.
  func isSame(as other: JSONTree) -> Bool {
    switch (self, other) {
    case (.integer(let left), .number): other.double.flatMap { Int64(exactly: $0) } == left
    case (.number, .integer): other.isSame(as: self)
    case (.number, .number): self == other || double.map { $0 == other.double } ?? false
    case (.array(let left), .array(let right)):
      left.count == right.count && zip(left, right).allSatisfy { $0.isSame(as: $1) }
    case (.object(let left), .object(let right)):
      left.count == right.count && zip(left, right).allSatisfy { $0.key == $1.key && $0.value.isSame(as: $1.value) }
    default: self == other
    }
  }

  /// A number that is no 64-bit integer, as near as a double is; nil when it is too large for one.
  private var double: Double? {
    guard case .number(let bytes) = self else { return nil }
    return Double(String(decoding: bytes, as: UTF8.self)).flatMap { $0.isFinite ? $0 : nil }
  }

  /// As text for people, strings without quotes.
  var plain: String { text?.description ?? shown }

  /// As text for people.
  public var shown: String {
    var out = ByteBuffer()
    write(to: &out)
    return String(decoding: out.readable, as: UTF8.self)
  }
}

extension Text {
  func write(to out: inout ByteBuffer) { bytes.withUnsafeBytes { out.appendJSONString($0) } }
}
