// The properties of a message: `name` 0x01 `value` 0x02, again and again; the last 0x02 may be missing.
//
// Holds: nothing is copied or looked at before it is asked for. A piece without 0x01 is passed over, and of properties with
// the same name the last counts: so RocketMQ reads them.
// Leaves to others: which properties the system knows.

import Glibc
import Primitives

/// Properties as text. The text is valid UTF-8, since headers and batches are.
public struct MessageProperties: Swift.Sequence {
  static let nameEnd: UInt8 = 1
  static let valueEnd: UInt8 = 2
  /// The longest text that a message can carry to a consumer, in bytes.
  public static let bytesMax = Int(Int16.max)

  /// The whole text.
  public let text: UnsafeRawBufferPointer

  /// Looks at a text.
  public init(_ text: UnsafeRawBufferPointer) { self.text = text }

  /// Walks through the properties in the order of the text.
  public func makeIterator() -> Iterator { Iterator(rest: text) }

  /// The value of a property; nil when there is none of that name. O(text).
  public subscript(_ name: StaticString) -> UnsafeRawBufferPointer? {
    var value: UnsafeRawBufferPointer?
    for property in self where property.name.equals(name) { value = property.value }
    return value
  }

  /// One name and its value at a time.
  public struct Iterator: IteratorProtocol {
    fileprivate var rest: UnsafeRawBufferPointer

    /// The next property; nil behind the last.
    public mutating func next() -> (name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)? {
      while let base = rest.baseAddress, rest.count > 0 {
        let length = memchr(base, Int32(valueEnd), rest.count).map { UnsafeRawPointer($0) - base } ?? rest.count
        let piece = UnsafeRawBufferPointer(rebasing: rest[..<length])
        rest = UnsafeRawBufferPointer(rebasing: rest[Swift.min(length + 1, rest.count)...])
        if let name = memchr(base, Int32(nameEnd), length).map({ UnsafeRawPointer($0) - base }) {
          return (
            UnsafeRawBufferPointer(rebasing: piece[..<name]), UnsafeRawBufferPointer(rebasing: piece[(name + 1)...])
          )
        }
      }
      return nil
    }
  }
}

extension ByteBuffer {
  /// Appends a property to a text of properties.
  ///
  /// - Throws: `unencodable` when the name is empty or one of the two has a byte 0x01 or 0x02 in it.
  public mutating func appendProperty(
    _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
  ) throws(RemotingError) {
    guard name.count > 0, Self.isPropertyText(name), Self.isPropertyText(value) else {
      throw .unencodable("a property has no name, or a byte 1 or 2 in its name or value")
    }
    append(name)
    append(byte: MessageProperties.nameEnd)
    append(value)
    append(byte: MessageProperties.valueEnd)
  }

  /// Appends a property with a name known at compile time.
  public mutating func appendProperty(_ name: StaticString, _ value: UnsafeRawBufferPointer) throws(RemotingError) {
    try appendProperty(UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount), value)
  }

  private static func isPropertyText(_ text: UnsafeRawBufferPointer) -> Bool {
    guard let base = text.baseAddress else { return true }
    return memchr(base, Int32(MessageProperties.nameEnd), text.count) == nil
      && memchr(base, Int32(MessageProperties.valueEnd), text.count) == nil
  }
}
