// All pending messages up to one, in (due, sequence) order, were released into their topics.
//
//    0  i64  earliest release of the last one
//    8  u64  sequence of the last one
//   16  i64  time of the release

import Primitives

/// The decision to release what is due.
struct Released: Decision {
  static let kind = DecisionKind.released
  let through: Watermark
  let atMs: UnixMs

  var byteCount: Int { 24 }

  func encode(to payload: inout PayloadWriter) {
    payload.write(through.dueMs)
    payload.write(through.sequence)
    payload.write(atMs)
  }
}

extension Released {
  init(decoding payload: UnsafeRawBufferPointer) {
    var reader = PayloadReader(payload)
    through = Watermark(dueMs: reader.read(Int64.self), sequence: reader.read(UInt64.self))
    atMs = reader.read(Int64.self)
  }
}
