// A held message was dropped.
//
//    0  u64  number of the held message
//    8  i64  time of the drop

import Primitives

/// The decision to drop a held message.
struct HeldDropped: Decision {
  static let kind = DecisionKind.heldDropped
  let number: HeldNumber
  let atMs: UnixMs

  var byteCount: Int { 16 }

  func encode(to payload: inout PayloadWriter) {
    payload.write(number)
    payload.write(atMs)
  }
}

extension HeldDropped {
  init(decoding payload: UnsafeRawBufferPointer) {
    var reader = PayloadReader(payload)
    number = reader.read(UInt64.self)
    atMs = reader.read(Int64.self)
  }
}
