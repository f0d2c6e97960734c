// The oldest messages of a topic were removed, by its retention or, in a queue, because all of them had ended.
//
//    0  u32  topic
//    4  u64  first offset that remains

import Primitives

/// The decision to remove the oldest messages of a topic.
struct Trimmed: Decision {
  static let kind = DecisionKind.trimmed
  let topic: UInt32
  let firstOffset: TopicOffset

  var byteCount: Int { 12 }

  func encode(to payload: inout PayloadWriter) {
    payload.write(topic)
    payload.write(firstOffset)
  }
}

extension Trimmed {
  init(decoding payload: UnsafeRawBufferPointer) {
    var reader = PayloadReader(payload)
    topic = reader.read(UInt32.self)
    firstOffset = reader.read(UInt64.self)
  }
}
