// Messages as JSON: events, fetched messages, listings.

import Broker
import LineProtocol
import Primitives
import RabbitMQFrontEnd

enum EventWriter {
  /// `{"event":"message",…}` and a newline.
  static func message(_ delivery: Delivery, to out: inout ByteBuffer) {
    out.append("{\"event\":\"message\",\"sub\":")
    out.appendInteger(delivery.consumer.sub)
    out.append(",")
    self.delivery(delivery, to: &out)
    out.append("\n")
  }

  /// The fields of a delivery from `topic` on, with the closing brace.
  @inline(__always)
  static func delivery(_ delivery: Delivery, to out: inout ByteBuffer) {
    released(delivery.record, of: delivery.consumer.topic, attempt: delivery.attempt, to: &out)
  }

  /// The fields of a released message from `topic` on, with the closing brace.
  ///
  /// - Parameter attempt: 0 when it is not given out.
  static func released(_ record: MessageRecord, of topic: Topic, attempt: UInt32, to out: inout ByteBuffer) {
    out.append("\"topic\":\"")
    topic.nameBytes.withUnsafeBytes { out.append($0) }
    out.append("\",\"offset\":")
    out.appendInteger(record.sequence)
    out.append(",\"id\":")
    out.appendJSONString(record.id)
    out.append(",\"attempt\":")
    out.appendInteger(UInt64(attempt))
    out.append(",\"deliverAtMs\":")
    out.appendInteger(record.dueMs)
    out.append(",\"releasedAtMs\":")
    out.appendInteger(record.stampMs)
    content(record, to: &out)
    out.append("}")
  }

  /// `,"key":…,"tag":…,"headers":…` and the body, what there is of it.
  static func content(_ record: MessageRecord, to out: inout ByteBuffer) {
    label(record, to: &out)
    if record.headers.count > 0 {
      out.append(",\"headers\":")
      out.append(record.headers)
    }
    out.appendBodyField(of: record)
  }

  private static func label(_ record: MessageRecord, to out: inout ByteBuffer) {
    if record.key.count > 0 {
      out.append(",\"key\":")
      out.appendJSONString(record.key)
    }
    if record.tag.count > 0 {
      out.append(",\"tag\":")
      out.appendJSONString(record.tag)
    }
  }

  /// One message of a listing.
  static func listed(_ message: ListedMessage, to out: inout ByteBuffer) {
    message.bytes.withUnsafeBytes { bytes in
      let record = MessageRecord(bytes.baseAddress!)
      out.append("{\"id\":")
      out.appendJSONString(record.id)
      out.append(",\"deliverAtMs\":")
      out.appendInteger(record.dueMs)
      out.append(",\"scheduledAtMs\":")
      out.appendInteger(record.stampMs)
      label(record, to: &out)
      out.append("}")
    }
  }

  /// The RabbitMQ channel of the connection was closed: consumers are gone, deliveries have gone back.
  static func closed(_ refusal: AMQPRefusal, to out: inout ByteBuffer) {
    let refusal = refusal.onALine
    out.append("{\"event\":\"rabbitmq.closed\",\"replyCode\":")
    out.appendInteger(Int64(refusal.replyCode ?? 0))
    out.append(",\"message\":")
    out.appendJSONString(refusal.message)
    out.append("}\n")
  }

  /// Messages were lost to retention before this subscription had them.
  static func truncated(_ consumer: Consumer, from: TopicOffset, to: TopicOffset, to out: inout ByteBuffer) {
    out.append("{\"event\":\"truncated\",\"sub\":")
    out.appendInteger(consumer.sub)
    out.append(",\"topic\":")
    out.appendJSONString(consumer.topic.name)
    out.append(",\"fromOffset\":")
    out.appendInteger(from)
    out.append(",\"toOffset\":")
    out.appendInteger(to)
    out.append("}\n")
  }

  /// The subscription has ended: its topic is gone, or the right to it.
  static func ended(_ consumer: Consumer, reason: StaticString = "topic_deleted", to out: inout ByteBuffer) {
    out.append("{\"event\":\"ended\",\"sub\":")
    out.appendInteger(consumer.sub)
    out.append(",\"topic\":")
    out.appendJSONString(consumer.topic.name)
    out.append(",\"reason\":\"")
    out.append(reason)
    out.append("\"}\n")
  }

  /// A queue was deleted under a consumer of the RabbitMQ front end.
  static func cancelled(_ consumerTag: Text, to out: inout ByteBuffer) {
    out.append("{\"event\":\"rabbitmq.cancel\",\"consumerTag\":")
    consumerTag.bytes.withUnsafeBytes { out.appendJSONString($0) }
    out.append("}\n")
  }
}
