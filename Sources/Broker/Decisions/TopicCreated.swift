// A topic was made.
//
//    0  u32    topic; never used before
//    4  i64    how long messages are kept, in ms; -1: the topic is a queue's, which keeps them until they are acknowledged
//   12  i64    how many bytes are kept
//   20  bytes  name, up to the end

import Primitives

/// The decision to make a topic. A view of the name's bytes.
struct TopicCreated: Decision {
  static let kind = DecisionKind.topicCreated
  let topic: UInt32
  let retentionMs: Int64
  let retentionBytes: Int64
  let name: UnsafeRawBufferPointer

  var byteCount: Int { 20 + name.count }

  func encode(to payload: inout PayloadWriter) {
    payload.write(topic)
    payload.write(retentionMs)
    payload.write(retentionBytes)
    payload.write(name)
  }
}

extension TopicCreated {
  init(decoding payload: UnsafeRawBufferPointer) {
    var reader = PayloadReader(payload)
    topic = reader.read(UInt32.self)
    retentionMs = reader.read(Int64.self)
    retentionBytes = reader.read(Int64.self)
    name = reader.rest
  }
}
