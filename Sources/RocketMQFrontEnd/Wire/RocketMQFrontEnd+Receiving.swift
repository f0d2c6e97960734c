// What producers send by the remoting protocol: messages, halves of transactions, recalls.

import Broker
import Primitives
import RemotingProtocol
import TopicLog

/// What became of a message that was sent.
public struct SendReceipt {
  /// Where it is.
  public var place: MessagePlace
  /// Its offset in its queue; of a half message the number by which its producer decides about it; else 0.
  public var queueOffset: Int64 = 0
  /// By which it can be recalled; nil when it is not delayed.
  public var recallHandle: String?
}

/// Who sends, and to which queue.
public struct SendTarget {
  /// The topic.
  public var topic: UnsafeRawBufferPointer
  /// The queue.
  public var queue: UInt8
  /// The client's address as people write it.
  public var bornHost: String
  /// The connection.
  public var connection: UInt64

  /// Puts the parts together.
  public init(topic: UnsafeRawBufferPointer, queue: UInt8, bornHost: String, connection: UInt64) {
    self.topic = topic
    self.queue = queue
    self.bornHost = bornHost
    self.connection = connection
  }
}

extension RocketMQFrontEnd {
  /// The queue that a sender has chosen, or the next one in turn when it has not (a negative number).
  public func queueToSend(_ queueID: Int32, to topic: UnsafeRawBufferPointer) throws(WireStop) -> UInt8 {
    if queueID == 0 { return 0 }
    let queues = writeQueues(of: topic)
    if queueID < 0 {
      nextQueue = (nextQueue + 1) % WireSettings.queuesMax
      return UInt8(nextQueue % queues)
    }
    guard Int(queueID) < queues else {
      let shown = String(decoding: topic, as: UTF8.self)
      throw .refused(.systemError, "topic '\(shown)' has no queue \(queueID): it has \(queues)")
    }
    return UInt8(queueID)
  }

  /// Looks at a message without taking it: whether it is one.
  public func check(_ message: WireMessage) throws(WireStop) {
    try incoming.check(message)
    try asked { () throws(BrokerStop) in try broker.requireBody(bytes: message.body.count) }
  }

  /// Takes a message: at once, for later, or as the half of a transaction, as its properties say.
  public func take(_ message: WireMessage, _ target: SendTarget) throws(WireStop) -> SendReceipt {
    let parts = try incoming.read(message, bornHost: target.bornHost, queue: target.queue)
    if incoming.isHalf { return try hold(parts, target) }
    let due = incoming.delay.due(levels: broker.settings.delayLevelsMs.count, nowMs: broker.nowMs)
    guard let due else { return try publish(parts, target.topic) }
    return try schedule(parts, due, target)
  }

  private func publish(_ parts: MessageParts, _ name: UnsafeRawBufferPointer) throws(WireStop) -> SendReceipt {
    let reply = try asked { () throws(BrokerStop) in try broker.publish(topic: name, parts).value }
    let topic = broker.findTopic(name)!
    return SendReceipt(
      place: .released(topic: topic.number, offset: reply.offset),
      queueOffset: Int64(topic.log.offsets(ofQueue: parts.queue).upperBound) - 1)
  }

  private func schedule(
    _ parts: MessageParts, _ due: DueTime, _ target: SendTarget
  ) throws(WireStop) -> SendReceipt {
    let command = ScheduleCommand(topic: target.topic, parts: parts, due: due, connection: target.connection)
    let reply = try asked { () throws(BrokerStop) in try broker.schedule(command).value }
    let id = reply.madeID!
    let handle = RecallHandle(
      topic: String(decoding: target.topic, as: UTF8.self), deliverTimeMs: reply.deliverAtMs, messageID: id.text)
    return SendReceipt(place: .accepted(id.sequence), recallHandle: handle.encoded(broker.mark))
  }

  private func hold(_ parts: MessageParts, _ target: SendTarget) throws(WireStop) -> SendReceipt {
    guard let group = incoming.producerGroup, group.count <= 255 else {
      throw .refused(.messageIllegal, "the message is illegal: a half message needs its producer group in PGROUP")
    }
    let id = try asked { () throws(BrokerStop) in try broker.hold(topic: target.topic, parts, owner: group).value }
    return SendReceipt(place: .accepted(id.sequence), queueOffset: Int64(id.sequence))
  }

  /// Decides about a half message by the places that its producer was given, the first that names one.
  public func decide(_ places: [MessagePlace?], _ verdict: HeldVerdict) throws(WireStop) -> HeldOutcome {
    for case .accepted(let sequence)? in places {
      let outcome = try GeneratedID(sequence).text.withBytes { id throws(WireStop) in
        try asked { () throws(BrokerStop) in try broker.decide(id, verdict).value }
      }
      if outcome != .unknown { return outcome }
    }
    return .unknown
  }

  /// The half message in a frame of its own: the question to its producer, as `CHECK_TRANSACTION_STATE` asks it.
  public func writeCheck(
    _ number: HeldNumber, opaque: Int32, _ serialization: RemotingSerialization, to out: inout ByteBuffer
  ) {
    guard let held = broker.heldMessage(number) else { return }
    broker.topicName(of: held).withBytes { topic in
      var message = outgoing.makeHalf(held, topic: topic)
      message.storeHost = wireSettings.host
      let offsetID = MessageID(host: wireSettings.host, physicalOffset: message.physicalOffset).text
      let unique = MessageProperties(message.properties)["UNIQ_KEY"].map { String(decoding: $0, as: UTF8.self) }
      let check = TransactionCheck(
        stateTableOffset: Int64(number), commitLogOffset: message.physicalOffset, messageID: unique ?? offsetID,
        transactionID: unique ?? offsetID, offsetMessageID: offsetID)
      // A topic of 128 bytes, which only a native client can name, has no place in the protocol.
      try? out.appendTransactionCheck(check, message: message, opaque: opaque, serialization: serialization)
    }
  }
}
