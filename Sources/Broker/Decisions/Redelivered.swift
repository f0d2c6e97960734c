// A group was given a message again.
//
//    0  u32  group
//    4  u64  offset

import Primitives

/// The decision to deliver a message once more.
struct Redelivered: Decision {
  static let kind = DecisionKind.redelivered
  let group: UInt32
  let offset: TopicOffset

  var byteCount: Int { 12 }

  func encode(to payload: inout PayloadWriter) {
    payload.write(group)
    payload.write(offset)
  }
}

extension Redelivered {
  init(decoding payload: UnsafeRawBufferPointer) {
    var reader = PayloadReader(payload)
    group = reader.read(UInt32.self)
    offset = reader.read(UInt64.self)
  }
}
