// A consumer refused a delivery: it waits until its time and is then delivered again.
//
//    0  u32  group
//    4  i64  when it is delivered again
//   12  u64  offset

import Primitives

/// The decision to let a refused delivery wait.
struct Refused: Decision {
  static let kind = DecisionKind.refused
  let group: UInt32
  let untilMs: UnixMs
  let offset: TopicOffset

  var byteCount: Int { 20 }

  func encode(to payload: inout PayloadWriter) {
    payload.write(group)
    payload.write(untilMs)
    payload.write(offset)
  }
}

extension Refused {
  init(decoding payload: UnsafeRawBufferPointer) {
    var reader = PayloadReader(payload)
    group = reader.read(UInt32.self)
    untilMs = reader.read(Int64.self)
    offset = reader.read(UInt64.self)
  }
}
