// From AMQP's field values to the neutral ones and back.
//
//   AMQP                          neutral             JSON
//   V                             null                null
//   t                             boolean             true, false
//   b B s u I i l L               integer             an integer; back: l
//   f d, D                        number              a number with fraction or exponent; back: d
//   T                             timestamp           an integer of seconds; back: l
//   S that is UTF-8               string              a string; back: S
//   S that is not, x              bytes               a string of Base64; back: S
//   A, F                          array, object       an array, an object; back: A, F
//
// Holds: whatever one side can say has an equivalent on the other, but for names of more than 255 bytes, which AMQP has none of,
// and for what is no number in JSON (NaN, infinities), which becomes null.
// An integer above 64 bits and a number stay as they were written, as text, until AMQP needs a double.
// Leaves to others: members that nobody changes, which are not converted but copied (Envelope).

import AMQPProtocol
import LineProtocol
import Primitives

extension JSONTree {
  /// The neutral value of a field; null for one that is malformed or nested too deeply.
  init(_ field: FieldView) { self = FieldValue(field).map { JSONTree($0) } ?? .null }

  /// The neutral value of a field.
  public init(_ value: FieldValue) {
    switch value {
    case .void: self = .null
    case .boolean(let value): self = .boolean(value)
    case .int8(let value): self = .integer(Int64(value))
    case .uint8(let value): self = .integer(Int64(value))
    case .int16(let value): self = .integer(Int64(value))
    case .uint16(let value): self = .integer(Int64(value))
    case .int32(let value): self = .integer(Int64(value))
    case .uint32(let value): self = .integer(Int64(value))
    case .int64(let value): self = .integer(value)
    case .float(let value): self = Self.number(Double(value), value.description)
    case .double(let value): self = Self.number(value, value.description)
    case .decimal(let scale, let unscaled): self = .number(Array("\(unscaled)e-\(scale)".utf8))
    case .timestamp(let seconds): self = .timestamp(seconds)
    case .string(let bytes): self = bytes.withBytes { isValidUTF8($0) } ? .string(Text(bytes)) : .bytes(bytes)
    case .bytes(let bytes): self = .bytes(bytes)
    case .array(let values): self = .array(values.map { JSONTree($0) })
    case .table(let entries): self = .object(entries.map { Member(Text($0.name), JSONTree($0.value)) })
    }
  }

  private static func number(_ value: Double, _ text: String) -> JSONTree {
    value.isFinite ? .number(Array(text.utf8)) : .null
  }

  /// The field value that says the same.
  public var fieldValue: FieldValue {
    switch self {
    case .null: .void
    case .boolean(let value): .boolean(value)
    case .integer(let value): .int64(value)
    case .number(let text): .double(Double(String(decoding: text, as: UTF8.self)) ?? 0)
    case .timestamp(let seconds): .timestamp(seconds)
    case .string(let text): .string(text.bytes)
    case .bytes(let bytes): .bytes(bytes)
    case .array(let values): .array(values.map(\.fieldValue))
    case .object(let members):
      .table(
        // A table of AMQP has no name of more than 255 bytes, which JSON can have.
        members.filter { $0.key.bytes.count <= 255 }.map { FieldEntry(name: $0.key.bytes, $0.value.fieldValue) }
      )
    }
  }

  /// The members of a table, for arguments that came by AMQP.
  public static func members(_ table: FieldTable) -> [Member] {
    table.fields.map { Member(Text($0.name), JSONTree($0.value)) }
  }
}
