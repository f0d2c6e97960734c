// Pending messages up to one, in (due, sequence) order, were released into their topics. In lanes that are behind, which are listed,
// those up to an earlier one.
//
//    0  i64   earliest release of the last one
//    8  u64   sequence of the last one
//   16  i64   time of the release
//   24  list  up to the end: u8 lane, i64 and u64 of its last one; mostly empty

import Primitives

/// The decision to release what is due.
struct Released: Decision {
  static let kind = DecisionKind.released
  let through: Watermark
  let atMs: UnixMs
  let behind: DecidedList<LaneWatermark>

  var byteCount: Int { 24 + behind.byteCount }

  func encode(to payload: inout PayloadWriter) {
    payload.write(through.dueMs)
    payload.write(through.sequence)
    payload.write(atMs)
    behind.encode(to: &payload)
  }
}

extension Released {
  /// How far it goes in each lane.
  var watermarks: Watermarks {
    var watermarks = Watermarks(overall: through)
    behind.forEach { watermarks.behind.append($0) }
    return watermarks
  }

  init(decoding payload: UnsafeRawBufferPointer) {
    var reader = PayloadReader(payload)
    through = Watermark(dueMs: reader.read(Int64.self), sequence: reader.read(UInt64.self))
    atMs = reader.read(Int64.self)
    behind = DecidedList(decodingRest: &reader)
  }
}
