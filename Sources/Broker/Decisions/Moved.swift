// A group's cursor was moved to another offset of its topic; its outstanding messages are forgotten.
//
//    0  u32  group
//    4  u64  offset of its next message

import Primitives

/// The decision to move a group.
struct Moved: Decision {
  static let kind = DecisionKind.moved
  let group: UInt32
  let offset: TopicOffset

  var byteCount: Int { 12 }

  func encode(to payload: inout PayloadWriter) {
    payload.write(group)
    payload.write(offset)
  }
}

extension Moved {
  init(decoding payload: UnsafeRawBufferPointer) {
    var reader = PayloadReader(payload)
    group = reader.read(UInt32.self)
    offset = reader.read(UInt64.self)
  }
}
