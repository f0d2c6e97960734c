// What the server pushes to RocketMQ clients.

import Broker
import LineProtocol
import Primitives

enum RocketMQEvents {
  /// `{"event":"rocketmq.message",…}` and a newline.
  static func message(_ delivery: Delivery, sub: Int64, _ headers: MessageHeaders, to out: inout ByteBuffer) {
    let record = delivery.record
    out.append("{\"event\":\"rocketmq.message\",\"sub\":")
    out.appendInteger(sub)
    out.append(",\"topic\":")
    delivery.consumer.topic.nameBytes.withUnsafeBytes { out.appendJSONString($0) }
    out.append(",\"msgId\":")
    out.appendJSONString(record.id)
    out.append(",\"queueOffset\":")
    out.appendInteger(record.sequence)
    out.append(",\"reconsumeTimes\":")
    out.appendInteger(headers.reconsumeTimes)
    out.append(",\"tags\":")
    if record.tag.count > 0 { out.appendJSONString(record.tag) } else { out.append("null") }
    out.append(",\"keys\":")
    if let keys = headers.keys {
      out.append("\"")
      out.append(keys)
      out.append("\"")
    } else {
      out.append("null")
    }
    out.append(",\"properties\":")
    properties(record, to: &out)
    out.appendForeignBodyField(of: record)
    out.append("}\n")
  }

  /// The headers without the keys, which have a field of their own, and with the sharding key.
  private static func properties(_ record: MessageRecord, to out: inout ByteBuffer) {
    var text = HeaderText.merged(record.headers, [], leavingOut: [PropertyName.keys])
    text.removeLast()
    text.withUnsafeBytes { out.append($0) }
    if record.key.count > 0 {
      out.append(text.count > 1 ? ",\"__SHARDINGKEY\":" : "\"__SHARDINGKEY\":")
      out.appendJSONString(record.key)
    }
    out.append("}")
  }

  /// `{"event":"rocketmq.checkTransaction",…}` and a newline.
  static func check(_ message: HeldMessage, topic: String, to out: inout ByteBuffer) {
    out.append("{\"event\":\"rocketmq.checkTransaction\",\"transactionId\":")
    out.appendJSONString(message.record.id)
    out.append(",\"msgId\":")
    out.appendJSONString(message.record.id)
    out.append(",\"topic\":")
    out.appendJSONString(topic)
    out.appendForeignBodyField(of: message.record)
    out.append("}\n")
  }
}
