// A group that pulls has consumed a queue of a topic up to an offset of that queue.
//
//    0  u32    topic
//    4  u64    offset in the queue: the next message that the group wants
//   12  u8     queue
//   13  bytes  name of the group, up to the end

import Primitives

/// The decision that a group has come so far in a queue. A view of the name's bytes.
struct OffsetCommitted: Decision {
  static let kind = DecisionKind.offsetCommitted
  let topic: UInt32
  let offset: UInt64
  let queue: UInt8
  let group: UnsafeRawBufferPointer

  var byteCount: Int { 13 + group.count }

  func encode(to payload: inout PayloadWriter) {
    payload.write(topic)
    payload.write(offset)
    payload.write(queue)
    payload.write(group)
  }
}

extension OffsetCommitted {
  init(decoding payload: UnsafeRawBufferPointer) {
    var reader = PayloadReader(payload)
    topic = reader.read(UInt32.self)
    offset = reader.read(UInt64.self)
    queue = reader.read(UInt8.self)
    group = reader.rest
  }
}
