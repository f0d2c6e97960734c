// A held message was released: appended to its topic.
//
//    0  u64  number of the held message
//    8  i64  time of the release

import Primitives

/// The decision to release a held message.
struct HeldReleased: Decision {
  static let kind = DecisionKind.heldReleased
  let number: HeldNumber
  let atMs: UnixMs

  var byteCount: Int { 16 }

  func encode(to payload: inout PayloadWriter) {
    payload.write(number)
    payload.write(atMs)
  }
}

extension HeldReleased {
  init(decoding payload: UnsafeRawBufferPointer) {
    var reader = PayloadReader(payload)
    number = reader.read(UInt64.self)
    atMs = reader.read(Int64.self)
  }
}
