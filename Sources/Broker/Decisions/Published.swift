// A message was published without delay: appended to its topic.
//
//    0  i64      time of the append
//    8  message  the message

import Primitives

/// The decision to append a message to its topic at once.
struct Published: Decision {
  static let kind = DecisionKind.published
  let atMs: UnixMs
  let message: DecidedMessage

  var byteCount: Int { 8 + message.length }

  func encode(to payload: inout PayloadWriter) {
    payload.write(atMs)
    payload.write(message)
  }
}

extension Published {
  init(decoding payload: UnsafeRawBufferPointer) {
    var reader = PayloadReader(payload)
    atMs = reader.read(Int64.self)
    message = reader.readMessage()
  }
}
