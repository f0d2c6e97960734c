// send, recall, levels, and the two halves of a transaction.

import Broker
import LineProtocol
import Primitives

extension RocketMQFrontEnd {
  /// `rocketmq.send`.
  public func send(_ call: RocketMQCall, to out: inout ByteBuffer) throws(RocketMQStop) -> Gate {
    let message = try call.read { reader throws(Refusal) in try SentMessage(reader) }
    let fields = try call.read { reader throws(Refusal) in try DelayFields(reader) }
    guard let due = fields.due(levels: broker.settings.delayLevelsMs.count, nowMs: broker.nowMs) else {
      let reply = try command { () throws(BrokerStop) in
        try message.withParts { parts throws(BrokerStop) in try broker.publish(topic: message.topic, parts) }
      }
      beginSent(call, reply.value.madeID, to: &out)
      out.append(",\"queueOffset\":")
      out.appendInteger(reply.value.offset)
      out.endLine()
      return reply.gate
    }
    let reply = try command { () throws(BrokerStop) in
      try message.withParts { parts throws(BrokerStop) in
        try broker.schedule(
          ScheduleCommand(topic: message.topic, parts: parts, due: due, connection: call.connection))
      }
    }
    beginSent(call, reply.value.madeID, to: &out)
    out.append(",\"deliverTimeMs\":")
    out.appendInteger(reply.value.deliverAtMs)
    out.append(",\"recallHandle\":")
    let handle = RecallHandle(
      topic: String(decoding: message.topic, as: UTF8.self), deliverTimeMs: reply.value.deliverAtMs,
      messageID: reply.value.madeID!.text)
    out.appendJSONString(handle.encoded(broker.mark))
    out.endLine()
    return reply.gate
  }

  private func beginSent(_ call: RocketMQCall, _ id: GeneratedID?, to out: inout ByteBuffer) {
    out.beginReply(rid: call.rid)
    out.append(",\"sendStatus\":\"SEND_OK\",\"msgId\":")
    out.appendJSONString(id!.text)
  }

  /// `rocketmq.recall`: answers what really became of the message.
  public func recall(_ call: RocketMQCall, to out: inout ByteBuffer) throws(RocketMQStop) -> Gate {
    let topic = try call.read { reader throws(Refusal) in try RequestFields.requiredTopic(reader) }
    let text = try call.read { reader throws(Refusal) in try RequestFields.requiredString(reader, .recallHandle) }
    guard let handle = recallHandle(text, topic) else {
      throw .refused(.invalid(.recallHandle, mustBe: "the 'recallHandle' that this server gave for this 'topic'"))
    }
    let id = handle.messageID
    let answer = try command { () throws(BrokerStop) in try recall(handle) }
    out.beginReply(rid: call.rid)
    out.append(",\"msgId\":")
    out.appendJSONString(id)
    switch answer.value {
    case .cancelled: out.append(",\"outcome\":\"cancelled\"}\n")
    case .released: out.append(",\"outcome\":\"released\"}\n")
    case .unknown: out.append(",\"outcome\":\"unknown\"}\n")
    }
    return answer.gate
  }

  /// Reads a recall handle; nil when it is none that this server gave for the topic.
  public func recallHandle(_ text: UnsafeRawBufferPointer, _ topic: UnsafeRawBufferPointer) -> RecallHandle? {
    guard let handle = RecallHandle(text, broker.mark), handle.topic.utf8.elementsEqual(topic) else { return nil }
    return handle
  }

  /// Takes a delayed message back.
  public func recall(_ handle: RecallHandle) throws(BrokerStop) -> Answer<CancelOutcome> {
    try handle.topic.withBytes { topic throws(BrokerStop) in
      try handle.messageID.withBytes { id throws(BrokerStop) in try broker.cancel(topic: topic, id: id) }
    }
  }

  /// `rocketmq.levels`.
  public func levels(_ call: RocketMQCall, to out: inout ByteBuffer) -> Gate {
    out.beginReply(rid: call.rid)
    out.append(",\"messageDelayLevel\":")
    out.appendJSONString(broker.settings.delayLevelsText)
    out.append(",\"levels\":[")
    for (place, delayMs) in broker.settings.delayLevelsMs.enumerated() {
      out.append(place > 0 ? ",{\"level\":" : "{\"level\":")
      out.appendInteger(Int64(place + 1))
      out.append(",\"delayMs\":")
      out.appendInteger(delayMs)
      out.append("}")
    }
    out.append("]}\n")
    return .open
  }

  // MARK: Transactions

  /// `rocketmq.sendHalf`: the id of the held message is the transaction's, too.
  public func sendHalf(_ call: RocketMQCall, to out: inout ByteBuffer) throws(RocketMQStop) -> Gate {
    let message = try call.read { reader throws(Refusal) in try SentMessage(reader) }
    let group = try call.read { reader throws(Refusal) in try RequestFields.requiredGroup(reader, .producerGroup) }
    let id = try command { () throws(BrokerStop) in
      try message.withParts { parts throws(BrokerStop) in
        try broker.hold(topic: message.topic, parts, owner: group)
      }
    }
    out.beginReply(rid: call.rid)
    out.append(",\"msgId\":")
    out.appendJSONString(id.value.text)
    out.append(",\"transactionId\":")
    out.appendJSONString(id.value.text)
    out.endLine()
    return id.gate
  }

  private static let states: [(name: String, verdict: HeldVerdict)] = [
    ("COMMIT", .release), ("ROLLBACK", .drop), ("UNKNOWN", .undecided),
  ]

  /// `rocketmq.endTransaction`: the first decision holds; asked again, it answers what that was.
  public func endTransaction(_ call: RocketMQCall, to out: inout ByteBuffer) throws(RocketMQStop) -> Gate {
    let id = try call.read { reader throws(Refusal) in try RequestFields.requiredString(reader, .transactionId) }
    let state = try call.read { reader throws(Refusal) in try RequestFields.requiredString(reader, .state) }
    guard let verdict = Self.states.first(where: { $0.name.utf8.elementsEqual(state) })?.verdict else {
      throw .refused(.invalid(.state, mustBe: "one of \"COMMIT\", \"ROLLBACK\", \"UNKNOWN\""))
    }
    let answer = try command { () throws(BrokerStop) in try broker.decide(id, verdict) }
    guard answer.value != .unknown else {
      let text = "there is no transaction '\(String(decoding: id.prefix(64), as: UTF8.self))', or it ended long ago"
      throw .refused(Refusal(code: .notFound, message: text))
    }
    out.beginReply(rid: call.rid)
    switch answer.value {
    case .released(let offset):
      out.append(",\"outcome\":\"committed\",\"queueOffset\":")
      out.appendInteger(offset)
    case .dropped: out.append(",\"outcome\":\"rolledBack\"")
    case .abandoned: out.append(",\"outcome\":\"discarded\"")
    case .held, .unknown: out.append(",\"outcome\":\"unknown\"")
    }
    out.endLine()
    return answer.gate
  }
}
