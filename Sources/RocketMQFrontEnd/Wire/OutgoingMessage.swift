// A message as clients of the remoting protocol see it: in the body of a pull, when it is viewed, when its producer is asked about it.
//
// Holds: every message can be written, whoever sent it: properties that have no place in the protocol (control characters 1 and 2 in
// them, or beyond what a message may have) are left out. Delay properties never come back: they were not kept.
// Leaves to others: which messages.

import Broker
import LineProtocol
import Primitives
import RemotingProtocol

/// Writes one message after the other; made once and used for all.
final class OutgoingMessage {
  @exclusivity(unchecked) private var properties = ByteBuffer()
  @exclusivity(unchecked) private var name = ByteBuffer()
  @exclusivity(unchecked) private var value = ByteBuffer()

  /// A message with everything that its record says. Its views are good until the next one is made.
  func make(_ record: MessageRecord, topic: UnsafeRawBufferPointer, place: MessagePlace, queueOffset: Int64)
    -> PulledMessage
  {
    properties.removeAll()
    var message = PulledMessage(topic: topic, body: record.body, properties: properties.readable)
    message.bornMs = record.dueMs
    if record.headers.count > 0 {
      HeaderText.forEachField(record.headers) { _, name, value in take(name, value, &message) }
    }
    if record.tag.count > 0 { add("TAGS", record.tag) }
    if record.key.count > 0 { add("__SHARDINGKEY", record.key) }
    message.properties = properties.readable
    message.queueID = Int32(record.queue)
    message.queueOffset = queueOffset
    message.physicalOffset = place.physicalOffset
    message.sysFlag = record.flags & IncomingMessage.compressedFlag != 0 ? 1 : 0
    message.storedMs = record.stampMs
    return message
  }

  /// The same of a half message: what tells its producer which transaction it is.
  func makeHalf(_ held: HeldMessage, topic: UnsafeRawBufferPointer) -> PulledMessage {
    var message = make(held.record, topic: topic, place: .accepted(held.number), queueOffset: Int64(held.number))
    "true".withBytes { add("TRAN_MSG", $0) }
    held.owner.withBytes { add("PGROUP", $0) }
    message.properties = properties.readable
    return message
  }

  private func take(
    _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, _ message: inout PulledMessage
  ) {
    guard case .ours = WireProperty(name) else { return addHeader(name, value) }
    if name.equals("BORN_HOST") {
      message.bornHost.address = IPv4.parse(value) ?? 0
    } else if let number = Int64(String(decoding: value, as: UTF8.self)) {
      if name.equals("BORN_TIMESTAMP") { message.bornMs = number }
      if name.equals("MESSAGE_FLAG") { message.flag = Int32(clamping: number) }
      if name.equals("RECONSUME_TIMES") { message.reconsumeTimes = Int32(clamping: max(0, number)) }
    }
  }

  /// A header as it stands between the quotes of JSON.
  private func addHeader(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
    self.name.removeAll()
    self.value.removeAll()
    self.name.append(unescaping: name)
    self.value.append(unescaping: value)
    add(self.name.readable, self.value.readable)
  }

  private func add(_ name: StaticString, _ value: UnsafeRawBufferPointer) {
    add(UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount), value)
  }

  private func add(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
    guard properties.count + name.count + value.count + 2 <= MessageProperties.bytesMax else { return }
    try? properties.appendProperty(name, value)
  }
}

/// Addresses as people write them.
public enum IPv4 {
  /// Four numbers joined by dots, the first in the top byte; nil for anything else.
  public static func parse(_ text: UnsafeRawBufferPointer) -> UInt32? {
    var address: UInt32 = 0
    var number: UInt32 = 0
    var digits = 0
    var dots = 0
    for byte in text {
      if byte == UInt8(ascii: "."), digits > 0, dots < 3 {
        address = address << 8 | number
        number = 0
        digits = 0
        dots += 1
        continue
      }
      let digit = byte &- UInt8(ascii: "0")
      guard digit < 10, digits < 3 else { return nil }
      number = number * 10 + UInt32(digit)
      digits += 1
      guard number < 256 else { return nil }
    }
    return dots == 3 && digits > 0 ? address << 8 | number : nil
  }
}
