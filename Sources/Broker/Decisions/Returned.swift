// A group is done with a message, and a copy of it, with an id of its own, was scheduled into a topic.
//
//    0  u32      group
//    4  u64      offset
//   12  i64      earliest release of the copy, as in `Scheduled`
//   20  message  the copy; its sequence is that of this record

import Primitives

/// The decision to take a delivery back and to schedule a copy of its message.
struct Returned: Decision {
  static let kind = DecisionKind.returned
  let group: UInt32
  let offset: TopicOffset
  let leaveMs: UnixMs
  let message: DecidedMessage

  var byteCount: Int { 20 + message.length }

  func encode(to payload: inout PayloadWriter) {
    payload.write(group)
    payload.write(offset)
    payload.write(leaveMs)
    payload.write(message)
  }
}

extension Returned {
  init(decoding payload: UnsafeRawBufferPointer) {
    var reader = PayloadReader(payload)
    group = reader.read(UInt32.self)
    offset = reader.read(UInt64.self)
    leaveMs = reader.read(Int64.self)
    message = reader.readMessage()
  }
}
