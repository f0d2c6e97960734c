// A message was accepted and is held back until its owner decides about it.
//
//    0  i64      time of the first question to the owner
//    8  u16      bytes of the owner's name
//   10  bytes    owner's name
//       message  the message; its sequence is that of this record, and the number of the held message

import Primitives

/// The decision to hold a message back. A view of the owner's name.
struct MessageHeld: Decision {
  static let kind = DecisionKind.held
  let nextCheckMs: UnixMs
  let owner: UnsafeRawBufferPointer
  let message: DecidedMessage

  var byteCount: Int { 10 + owner.count + message.length }

  func encode(to payload: inout PayloadWriter) {
    payload.write(nextCheckMs)
    payload.write(UInt16(owner.count))
    payload.write(owner)
    payload.write(message)
  }
}

extension MessageHeld {
  init(decoding payload: UnsafeRawBufferPointer) {
    var reader = PayloadReader(payload)
    nextCheckMs = reader.read(Int64.self)
    owner = reader.read(bytes: Int(reader.read(UInt16.self)))
    message = reader.readMessage()
  }
}
