// A group is done with a message, and a copy of it was appended to another topic: to the group's dead letters, or from there
// back to the topic where it came from.
//
//    0  u32      group
//    4  u64      offset
//   12  i64      time
//   20  message  the copy; its topic is where it was appended

import Primitives

/// The decision to move a message of a group to another topic.
struct Forwarded: Decision {
  static let kind = DecisionKind.forwarded
  let group: UInt32
  let offset: TopicOffset
  let atMs: UnixMs
  let message: DecidedMessage

  var byteCount: Int { 20 + message.length }

  func encode(to payload: inout PayloadWriter) {
    payload.write(group)
    payload.write(offset)
    payload.write(atMs)
    payload.write(message)
  }
}

extension Forwarded {
  init(decoding payload: UnsafeRawBufferPointer) {
    var reader = PayloadReader(payload)
    group = reader.read(UInt32.self)
    offset = reader.read(UInt64.self)
    atMs = reader.read(Int64.self)
    message = reader.readMessage()
  }
}
