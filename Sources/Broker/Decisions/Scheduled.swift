// A message was accepted to be released later, in place of a pending one of the same id if there is one.
//
//    0  i64      earliest release: the due time, or later when that was past already
//    8  message  the message; its sequence is that of this record

import Primitives

/// The decision to accept a message for later.
struct Scheduled: Decision {
  static let kind = DecisionKind.scheduled
  let leaveMs: UnixMs
  let message: DecidedMessage

  var byteCount: Int { 8 + message.length }

  func encode(to payload: inout PayloadWriter) {
    payload.write(leaveMs)
    payload.write(message)
  }
}

extension Scheduled {
  init(decoding payload: UnsafeRawBufferPointer) {
    var reader = PayloadReader(payload)
    leaveMs = reader.read(Int64.self)
    message = reader.readMessage()
  }
}
