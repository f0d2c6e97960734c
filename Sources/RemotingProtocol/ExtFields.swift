// The extension fields of a header, by name and type.
//
// Holds: a field that is not there is nil; one that is there and is not of the type asked for is an error that names it.
// Names and values are valid UTF-8 in memory of the frame or of the header reader, good until its next `read`.
// Leaves to others: ranges and meanings.

import Primitives

/// One extension field.
public struct ExtField {
  /// The name.
  public let name: UnsafeRawBufferPointer
  /// The value: the text of a string, or a number, `true` or `false` as it was written.
  public let value: UnsafeRawBufferPointer
  /// Whether the value was a JSON string. Binary headers have nothing else.
  public let isString: Bool
}

/// The fields of one header, in the order of the header. Of fields with the same name the first counts.
public struct ExtFields: Swift.Sequence {
  private let fields: UnsafeBufferPointer<ExtField>

  init(_ fields: UnsafeBufferPointer<ExtField>) { self.fields = fields }

  /// How many there are.
  public var count: Int { fields.count }

  /// Walks through the fields.
  public func makeIterator() -> UnsafeBufferPointer<ExtField>.Iterator { fields.makeIterator() }

  /// The value of a field. O(fields); the names are compared by length first.
  public func string(_ name: StaticString) -> UnsafeRawBufferPointer? {
    for field in fields where field.name.equals(name) { return field.value }
    return nil
  }

  /// The value of a field that must be there; it may be empty.
  public func requiredString(_ name: StaticString) throws(RemotingError) -> UnsafeRawBufferPointer {
    guard let value = string(name) else { throw .missingField("\(name)") }
    return value
  }

  /// An integer of 32 bits.
  public func int32(_ name: StaticString) throws(RemotingError) -> Int32? {
    guard let value = string(name) else { return nil }
    guard let number = value.decimal(Int32.self) else {
      throw .malformedField("\(name)", mustBe: "an integer of 32 bits")
    }
    return number
  }

  /// An integer of 32 bits that must be there.
  public func requiredInt32(_ name: StaticString) throws(RemotingError) -> Int32 {
    guard let number = try int32(name) else { throw .missingField("\(name)") }
    return number
  }

  /// An integer of 64 bits.
  public func int64(_ name: StaticString) throws(RemotingError) -> Int64? {
    guard let value = string(name) else { return nil }
    guard let number = value.decimal(Int64.self) else {
      throw .malformedField("\(name)", mustBe: "an integer of 64 bits")
    }
    return number
  }

  /// An integer of 64 bits that must be there.
  public func requiredInt64(_ name: StaticString) throws(RemotingError) -> Int64 {
    guard let number = try int64(name) else { throw .missingField("\(name)") }
    return number
  }

  /// A truth value: `true` and `false` of Java clients, `1` and `0` of C++ ones.
  public func bool(_ name: StaticString) throws(RemotingError) -> Bool? {
    guard let value = string(name) else { return nil }
    if value.equals("true") || value.equals("1") { return true }
    if value.equals("false") || value.equals("0") { return false }
    throw .malformedField("\(name)", mustBe: "true or false")
  }
}
