// The messages of one send, one after another in its body.
//
//   0 i32 length of the message      12 i32 flag                    20 body
//   4 i32 magic, 0                   16 i32 length of the body         i16 length of the properties, properties
//   8 i32 checksum of the body, 0
//
// Holds: lengths agree with each other and with the body of the request; properties are valid UTF-8. Magic and checksum are
// not looked at: clients write zeroes.
// Leaves to others: topic and queue, which all messages of a send share (`SendRequest`); what the properties say.

import LineProtocol

/// One message of a batch.
public struct BatchedMessage {
  /// A number of the user's.
  public let flag: Int32
  /// The body.
  public let body: UnsafeRawBufferPointer
  /// The properties.
  public let properties: MessageProperties
}

/// Walks through the body of a batch; the views it gives are good as long as the body.
public struct MessageBatch {
  private var bytes: ByteReader

  /// Looks at a body.
  public init(_ body: UnsafeRawBufferPointer) { bytes = ByteReader(body) }

  /// The next message; nil at the end of the body.
  ///
  /// - Throws: `malformedBody`. Walk through the whole batch before the first message is taken, so that it is taken whole or
  ///   not at all.
  public mutating func next() throws(RemotingError) -> BatchedMessage? {
    guard bytes.left > 0 else { return nil }
    let length = bytes.number(Int32.self)
    var fields = ByteReader(bytes.take(Int(length) - 4))
    _ = fields.number(Int32.self)
    _ = fields.number(Int32.self)
    let flag = fields.number(Int32.self)
    let body = fields.take(fields.number(Int32.self))
    let properties = fields.take(fields.number(Int16.self))
    guard !bytes.isBroken, !fields.isBroken, fields.left == 0 else {
      throw .malformedBody("the lengths in a message of the batch do not agree")
    }
    guard isValidUTF8(properties) else {
      throw .malformedBody("the properties of a message of the batch are not UTF-8")
    }
    return BatchedMessage(flag: flag, body: body, properties: MessageProperties(properties))
  }
}
