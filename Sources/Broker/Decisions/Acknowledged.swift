// A group is done with messages: they were acknowledged or, in a queue, ended without going anywhere.
//
//    0  u32   group
//    4  list  up to the end: u64 first offset, u32 number of offsets

import Primitives

/// The decision that messages have ended in a group.
struct Acknowledged: Decision {
  static let kind = DecisionKind.acknowledged
  let group: UInt32
  let runs: DecidedList<OffsetRun>

  var byteCount: Int { 4 + runs.byteCount }

  func encode(to payload: inout PayloadWriter) {
    payload.write(group)
    runs.encode(to: &payload)
  }
}

extension Acknowledged {
  init(decoding payload: UnsafeRawBufferPointer) {
    var reader = PayloadReader(payload)
    group = reader.read(UInt32.self)
    runs = DecidedList(decodingRest: &reader)
  }
}
