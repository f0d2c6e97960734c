// The 14 properties of a message: u16 flags, the highest bit for the first property, and the properties that are there.
//
// Holds: reading gives views, so that a message's properties can stay the publisher's bytes.
// Leaves to others: frames (Content), the fields of the headers (FieldTable), what the properties mean (the session).

// The properties have the names of the specification, which says more than a comment on each could.
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

import Primitives

/// The properties of a message: read as views, changed, written anew.
///
/// A dead letter's are the publisher's with `headers` replaced and `expiration` set to nil.
public struct BasicProperties {
  public var contentType: UnsafeRawBufferPointer?
  public var contentEncoding: UnsafeRawBufferPointer?
  public var headers: FieldTable?
  public var deliveryMode: UInt8?
  public var priority: UInt8?
  public var correlationID: UnsafeRawBufferPointer?
  public var replyTo: UnsafeRawBufferPointer?
  public var expiration: UnsafeRawBufferPointer?
  public var messageID: UnsafeRawBufferPointer?
  /// Seconds since 1970.
  public var timestamp: UInt64?
  public var type: UnsafeRawBufferPointer?
  public var userID: UnsafeRawBufferPointer?
  public var appID: UnsafeRawBufferPointer?
  public var clusterID: UnsafeRawBufferPointer?

  /// No properties.
  public init() {}

  /// Reads flags and properties; the headers are checked all the way down. O(bytes), no allocation.
  ///
  /// - Throws: 502 when they are malformed.
  public init(reading bytes: UnsafeRawBufferPointer) throws(AMQPFault) {
    var coder = FieldCoder(reading: bytes)
    code(&coder)
    guard coder.isDone else {
      throw AMQPFault(.syntaxError, "the properties of the content are malformed", method: .basicPublish)
    }
  }

  fileprivate mutating func code(_ fields: inout FieldCoder) {
    fields.propertyFlags()
    fields.property(&contentType)
    fields.property(&contentEncoding)
    fields.property(&headers)
    fields.property(&deliveryMode)
    fields.property(&priority)
    fields.property(&correlationID)
    fields.property(&replyTo)
    fields.property(&expiration)
    fields.property(&messageID)
    fields.property(&timestamp)
    fields.property(&type)
    fields.property(&userID)
    fields.property(&appID)
    fields.property(&clusterID)
  }
}

extension ByteBuffer {
  /// Appends flags and properties, without a frame around them.
  ///
  /// - Precondition: strings are at most 255 bytes.
  public mutating func append(_ properties: BasicProperties) {
    var properties = properties
    var measure = FieldCoder.measuring
    properties.code(&measure)
    var coder = FieldCoder(writing: writable(measure.count).baseAddress!, count: measure.count)
    properties.code(&coder)
    commit(measure.count)
  }
}
