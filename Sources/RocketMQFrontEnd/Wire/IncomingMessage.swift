// A message that a client sends by the remoting protocol, in the parts that the broker keeps: the same as `rocketmq.send` makes.
//
// Holds: tags are the tag and the sharding key is the ordering key; properties that say what the broker is to do with the message
// (delay, transaction, wait) are read and not kept; all others are headers, and so is what the protocol has fields for and a
// message record has not: when and where it was born, its flag, how often it was retried.
// Leaves to others: where the message goes and when.

import LineProtocol
import Primitives
import RemotingProtocol

/// What the protocol says of a message beside its topic. The views belong to the request.
public struct WireMessage {
  /// The body.
  public var body: UnsafeRawBufferPointer
  /// The properties.
  public var properties: MessageProperties
  /// A number of the user's.
  public var flag: Int32 = 0
  /// Whether the client compressed the body.
  public var isCompressed = false
  /// When the client made it, Unix ms.
  public var bornMs: Int64 = 0
  /// How often it was consumed in vain.
  public var reconsumeTimes: Int32 = 0

  /// A message of body and properties.
  public init(body: UnsafeRawBufferPointer, properties: MessageProperties) {
    self.body = body
    self.properties = properties
  }
}

/// Reads one message after the other; made once and used for all.
final class IncomingMessage {
  /// Bit of a record's flags: the body is compressed as the client has sent it.
  static let compressedFlag: UInt32 = 1 << 8
  /// So many properties a message may have: names are compared with each other.
  static let propertiesMax = 1024

  @exclusivity(unchecked) private var headers = ByteBuffer()
  /// What it means by its delay properties.
  @exclusivity(unchecked) private(set) var delay = DelayFields()
  /// Whether it is one half of a transaction.
  @exclusivity(unchecked) private(set) var isHalf = false
  /// The group whose producers decide about a half message.
  @exclusivity(unchecked) private(set) var producerGroup: UnsafeRawBufferPointer?

  /// Looks at a message without keeping anything of it.
  ///
  /// - Throws: `messageIllegal` where `read` would.
  func check(_ message: WireMessage) throws(WireStop) {
    try Self.requireFitting(message.properties)
    var parts = MessageParts(id: UnsafeRawBufferPointer(start: nil, count: 0), body: message.body)
    var count = 0
    for property in message.properties {
      count += 1
      try Self.requireFew(count)
      if case .other = WireProperty(property.name) { continue }
      try take(property.name, property.value, &parts)
    }
  }

  private static func requireFitting(_ properties: MessageProperties) throws(WireStop) {
    guard properties.text.count <= MessageProperties.bytesMax else {
      throw illegal("the properties have more than \(MessageProperties.bytesMax) bytes")
    }
  }

  private static func requireFew(_ properties: Int) throws(WireStop) {
    guard properties <= propertiesMax else { throw illegal("it has more than \(propertiesMax) properties") }
  }

  /// Reads a message. The parts are good until the next one is read, or the request is gone; they have no id.
  ///
  /// - Throws: `messageIllegal`.
  func read(_ message: WireMessage, bornHost: String, queue: UInt8) throws(WireStop) -> MessageParts {
    try Self.requireFitting(message.properties)
    headers.removeAll()
    delay = DelayFields()
    isHalf = false
    producerGroup = nil
    var parts = MessageParts(id: UnsafeRawBufferPointer(start: nil, count: 0), body: message.body)
    parts.encoding = .bytes
    parts.queue = queue
    if message.isCompressed { parts.flags |= Self.compressedFlag }
    var count = 0
    var properties = message.properties.makeIterator()
    while let property = properties.next() {
      count += 1
      try Self.requireFew(count)
      // Of properties with the same name the last counts.
      if Self.has(properties, property.name) { continue }
      try take(property.name, property.value, &parts)
    }
    if message.bornMs != 0 { keep(PropertyName.bornTimestamp, number: message.bornMs) }
    keep(PropertyName.bornHost, bornHost)
    if message.flag != 0 { keep(PropertyName.messageFlag, number: Int64(message.flag)) }
    if message.reconsumeTimes > 0 { keep(PropertyName.reconsumeTimes, number: Int64(message.reconsumeTimes)) }
    headers.append("}")
    parts.headers = headers.readable
    return parts
  }

  private static func has(_ rest: MessageProperties.Iterator, _ name: UnsafeRawBufferPointer) -> Bool {
    var rest = rest
    while let other = rest.next() {
      if other.name.count == name.count, other.name.elementsEqual(name) { return true }
    }
    return false
  }

  private func take(
    _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, _ parts: inout MessageParts
  ) throws(WireStop) {
    switch WireProperty(name) {
    case .tags:
      guard value.count <= TagExpression.tagBytesMax else {
        throw Self.illegal("its tag has more than \(TagExpression.tagBytesMax) bytes")
      }
      parts.tag = value
    case .shardingKey:
      guard value.count <= 256 else { throw Self.illegal("its sharding key has more than 256 bytes") }
      parts.key = value
    case .delay: delay.level = try Self.number(name, value)
    case .delaySeconds: delay.seconds = max(0, try Self.number(name, value))
    case .delayMilliseconds: delay.milliseconds = max(0, try Self.number(name, value))
    case .deliverTime: delay.deliverMs = try Self.number(name, value)
    case .transaction: isHalf = value.equals("true")
    case .producerGroup: producerGroup = value
    case .wait, .ours: return
    case .other: keep(name, value)
    }
  }

  private static func number(
    _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
  ) throws(WireStop) -> Int64 {
    guard let number = Int64(String(decoding: value, as: UTF8.self)) else {
      throw illegal("its property \(String(decoding: name, as: UTF8.self)) is not an integer")
    }
    return number
  }

  private static func illegal(_ reason: String) -> WireStop {
    .refused(.messageIllegal, "the message is illegal: \(reason)")
  }

  // MARK: Headers

  private func begin() { headers.append(headers.isEmpty ? "{" : ",") }

  private func keep(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
    begin()
    headers.appendJSONString(name)
    headers.append(":")
    headers.appendJSONString(value)
  }

  private func keep(_ name: String, _ value: String) {
    begin()
    headers.appendJSONString(name)
    headers.append(":")
    headers.appendJSONString(value)
  }

  private func keep(_ name: String, number: Int64) {
    begin()
    headers.appendJSONString(name)
    headers.append(":\"")
    headers.appendInteger(number)
    headers.append("\"")
  }
}

/// Properties that mean something to the broker.
enum WireProperty {
  case tags, shardingKey, delay, delaySeconds, delayMilliseconds, deliverTime, transaction, producerGroup, wait
  /// The name of a header that says what the protocol has a field for.
  case ours
  /// The user's, or the clients' among themselves.
  case other

  private static let names: KeyValuePairs<StaticString, WireProperty> = [
    "TAGS": .tags, "__SHARDINGKEY": .shardingKey, "DELAY": .delay, "TIMER_DELAY_SEC": .delaySeconds,
    "TIMER_DELAY_MS": .delayMilliseconds, "TIMER_DELIVER_MS": .deliverTime, "TRAN_MSG": .transaction,
    "PGROUP": .producerGroup, "WAIT": .wait, "BORN_TIMESTAMP": .ours, "BORN_HOST": .ours, "MESSAGE_FLAG": .ours,
    "RECONSUME_TIMES": .ours,
  ]

  init(_ name: UnsafeRawBufferPointer) {
    for (known, property) in Self.names where name.equals(known) {
      self = property
      return
    }
    self = .other
  }
}
