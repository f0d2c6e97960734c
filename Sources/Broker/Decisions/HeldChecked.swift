// The owner of a held message was asked once more.
//
//    0  u64  number of the held message
//    8  i64  time of the next question

import Primitives

/// The decision to ask the owner of a held message.
struct HeldChecked: Decision {
  static let kind = DecisionKind.heldChecked
  let number: HeldNumber
  let nextCheckMs: UnixMs

  var byteCount: Int { 16 }

  func encode(to payload: inout PayloadWriter) {
    payload.write(number)
    payload.write(nextCheckMs)
  }
}

extension HeldChecked {
  init(decoding payload: UnsafeRawBufferPointer) {
    var reader = PayloadReader(payload)
    number = reader.read(UInt64.self)
    nextCheckMs = reader.read(Int64.self)
  }
}
