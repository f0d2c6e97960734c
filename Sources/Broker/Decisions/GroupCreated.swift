// A consumer group was made.
//
//    0  u32    group; never used before
//    4  u32    topic
//    8  u64    offset of its first message
//   16  bytes  name, up to the end

import Primitives

/// The decision to make a consumer group. A view of the name's bytes.
struct GroupCreated: Decision {
  static let kind = DecisionKind.groupCreated
  let group: UInt32
  let topic: UInt32
  let startOffset: TopicOffset
  let name: UnsafeRawBufferPointer

  var byteCount: Int { 16 + name.count }

  func encode(to payload: inout PayloadWriter) {
    payload.write(group)
    payload.write(topic)
    payload.write(startOffset)
    payload.write(name)
  }
}

extension GroupCreated {
  init(decoding payload: UnsafeRawBufferPointer) {
    var reader = PayloadReader(payload)
    group = reader.read(UInt32.self)
    topic = reader.read(UInt32.self)
    startOffset = reader.read(UInt64.self)
    name = reader.rest
  }
}
