// The owner of a held message never decided about it: a copy was appended to the topic for abandoned messages.
//
//    0  u64      number of the held message
//    8  i64      time of the append
//   16  message  the copy

import Primitives

/// The decision to give up waiting for the owner of a held message.
struct HeldAbandoned: Decision {
  static let kind = DecisionKind.heldAbandoned
  let number: HeldNumber
  let atMs: UnixMs
  let message: DecidedMessage

  var byteCount: Int { 16 + message.length }

  func encode(to payload: inout PayloadWriter) {
    payload.write(number)
    payload.write(atMs)
    payload.write(message)
  }
}

extension HeldAbandoned {
  init(decoding payload: UnsafeRawBufferPointer) {
    var reader = PayloadReader(payload)
    number = reader.read(UInt64.self)
    atMs = reader.read(Int64.self)
    message = reader.readMessage()
  }
}
