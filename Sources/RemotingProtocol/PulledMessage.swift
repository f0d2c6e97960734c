// A message as it stands in the body of a pull's response, one after another.
//
//   0 i32 length of the message     28 i64 physical offset     56 i64 stored, Unix ms    84 i32 length of the body
//   4 u32 0xAABBCCA7                36 i32 sysFlag             64 4+4 host of the broker 88 body
//   8 u32 CRC-32 of the body        40 i64 born, Unix ms       72 i32 reconsume times       u8  length of the topic, topic
//  12 i32 queue                     48 4+4 host of the sender  76 i64 half message's        i16 length of the properties,
//  16 i32 flag                                                        offset                    properties
//  20 i64 queue offset
//
// Holds: the checksum has its top bit cleared, since Java keeps it in an `int` and never lets it be negative.
// Leaves to others: what of a message is shown under which property.

import Primitives

/// One message. The buffers belong to the caller, or to the bytes it was read from.
public struct PulledMessage {
  /// The queue, the place in it, and the place on the broker, which names the message when it is sent back.
  public var queueID: Int32 = 0, queueOffset: Int64 = 0, physicalOffset: Int64 = 0
  /// A number of the user's.
  public var flag: Int32 = 0
  /// Bit 0: the body is compressed. The bits for IPv6 hosts are never written.
  public var sysFlag: Int32 = 0
  /// When the sender made it, Unix ms.
  public var bornMs: Int64 = 0
  /// Who sent it.
  public var bornHost = RemotingHost(address: 0, port: 0)
  /// When the broker stored it, Unix ms.
  public var storedMs: Int64 = 0
  /// Who stores it.
  public var storeHost = RemotingHost(address: 0, port: 0)
  /// How often it was consumed in vain.
  public var reconsumeTimes: Int32 = 0
  /// The offset of the half message it comes from; 0 for none.
  public var preparedTransactionOffset: Int64 = 0
  /// The body.
  public var body: UnsafeRawBufferPointer
  /// The topic: at most `topicBytesMax` bytes.
  public var topic: UnsafeRawBufferPointer
  /// The properties: at most `MessageProperties.bytesMax` bytes.
  public var properties: UnsafeRawBufferPointer

  /// The longest topic: Java reads its length as a signed byte.
  public static let topicBytesMax = Int(Int8.max)
  static let magic: UInt32 = 0xAABB_CCA7
  static let fixedBytes = 91
  // The host of the sender, or of the broker, takes 16 bytes.
  static let longHostBits: Int32 = 0x30

  /// A message of its three variable parts.
  public init(topic: UnsafeRawBufferPointer, body: UnsafeRawBufferPointer, properties: UnsafeRawBufferPointer) {
    self.topic = topic
    self.body = body
    self.properties = properties
  }

  /// Bytes that it takes in a response.
  public var encodedBytes: Int { Self.fixedBytes + body.count + topic.count + properties.count }
}

extension ByteBuffer {
  /// Appends a message to the body of a pull's response. O(length).
  ///
  /// - Throws: `unencodable` when the topic, the properties or the body are too long; nothing has been appended then.
  public mutating func append(_ message: PulledMessage) throws(RemotingError) {
    guard message.topic.count <= PulledMessage.topicBytesMax else {
      throw .unencodable("a topic of \(message.topic.count) bytes; at most \(PulledMessage.topicBytesMax) fit")
    }
    guard message.properties.count <= MessageProperties.bytesMax else {
      throw .unencodable("properties of \(message.properties.count) bytes; at most \(MessageProperties.bytesMax) fit")
    }
    guard let length = Int32(exactly: message.encodedBytes) else {
      throw .unencodable("a message of \(message.encodedBytes) bytes; at most \(Int32.max) fit")
    }
    reserve(message.encodedBytes)
    append(bigEndian: length)
    append(bigEndian: PulledMessage.magic)
    append(bigEndian: CRC32.checksum(message.body) & 0x7FFF_FFFF)
    append(bigEndian: message.queueID)
    append(bigEndian: message.flag)
    append(bigEndian: message.queueOffset)
    append(bigEndian: message.physicalOffset)
    append(bigEndian: message.sysFlag & ~PulledMessage.longHostBits)
    append(bigEndian: message.bornMs)
    append(message.bornHost)
    append(bigEndian: message.storedMs)
    append(message.storeHost)
    append(bigEndian: message.reconsumeTimes)
    append(bigEndian: message.preparedTransactionOffset)
    append(bigEndian: Int32(message.body.count))
    append(message.body)
    append(byte: UInt8(message.topic.count))
    append(message.topic)
    append(bigEndian: Int16(message.properties.count))
    append(message.properties)
  }

  private mutating func append(_ host: RemotingHost) {
    append(bigEndian: host.address)
    append(bigEndian: host.port)
  }
}

/// Walks through the messages in the body of a pull's response.
public struct PulledMessageReader {
  private var bytes: ByteReader

  /// Looks at a body.
  public init(_ body: UnsafeRawBufferPointer) { bytes = ByteReader(body) }

  /// The next message; nil at the end of the body.
  ///
  /// - Throws: `malformedBody` when what follows is not a message of the layout above with a right checksum.
  public mutating func next() throws(RemotingError) -> PulledMessage? {
    guard bytes.left > 0 else { return nil }
    let length = bytes.number(Int32.self)
    var fields = ByteReader(bytes.take(Int(length) - 4))
    let magic = fields.number(UInt32.self)
    let checksum = fields.number(UInt32.self)
    var message = PulledMessage(topic: .empty, body: .empty, properties: .empty)
    message.queueID = fields.number()
    message.flag = fields.number()
    message.queueOffset = fields.number()
    message.physicalOffset = fields.number()
    message.sysFlag = fields.number()
    message.bornMs = fields.number()
    message.bornHost = RemotingHost(address: fields.number(), port: fields.number())
    message.storedMs = fields.number()
    message.storeHost = RemotingHost(address: fields.number(), port: fields.number())
    message.reconsumeTimes = fields.number()
    message.preparedTransactionOffset = fields.number()
    message.body = fields.take(fields.number(Int32.self))
    message.topic = fields.take(fields.number(UInt8.self))
    message.properties = fields.take(fields.number(Int16.self))
    guard !bytes.isBroken, !fields.isBroken, fields.left == 0 else { throw .malformedBody("a message ends too early") }
    guard magic == PulledMessage.magic else { throw .malformedBody("a message has an unknown magic number") }
    guard checksum == CRC32.checksum(message.body) & 0x7FFF_FFFF else {
      throw .malformedBody("a message's body does not have its checksum")
    }
    return message
  }
}

extension UnsafeRawBufferPointer {
  /// No bytes.
  static var empty: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: nil, count: 0) }
}
