// Deliveries of a queue were rejected. They become dead letters by later records, since a message may have to be read from
// disk before it can move.
//
//    0  u32   group of the queue
//    4  u8    reason, as in `EndReason`
//    5  list  up to the end: u64 first offset, u32 number of offsets

import Primitives

/// The decision that deliveries of a queue become dead letters.
struct Rejected: Decision {
  static let kind = DecisionKind.rejected
  let group: UInt32
  let reason: UInt8
  let runs: DecidedList<OffsetRun>

  var byteCount: Int { 5 + runs.byteCount }

  func encode(to payload: inout PayloadWriter) {
    payload.write(group)
    payload.write(reason)
    runs.encode(to: &payload)
  }
}

extension Rejected {
  init(decoding payload: UnsafeRawBufferPointer) {
    var reader = PayloadReader(payload)
    group = reader.read(UInt32.self)
    reason = reader.read(UInt8.self)
    runs = DecidedList(decodingRest: &reader)
  }
}
