// A topic was deleted, with its groups and all that was pending, held or waiting in it.
//
//    0  u32  topic

import Primitives

/// The decision to delete a topic.
struct TopicDeleted: Decision {
  static let kind = DecisionKind.topicDeleted
  let topic: UInt32

  var byteCount: Int { 4 }

  func encode(to payload: inout PayloadWriter) { payload.write(topic) }
}

extension TopicDeleted {
  init(decoding payload: UnsafeRawBufferPointer) {
    var reader = PayloadReader(payload)
    topic = reader.read(UInt32.self)
  }
}
