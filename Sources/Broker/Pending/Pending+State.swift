// The pending messages' parts of a checkpoint, as it is read.
//
// Bytes, first part: i64 time and u64 sequence of the watermark, i64 hand of the slices
//   second part: u32 n slices: u8 level, i64 number, u32 generation, u64 bytes;
//   u32 n files of recent outcomes: i64 number, u64 bytes
//   third part: u32 n lanes that are behind: u8 lane, i64 time and u64 sequence of its watermark

import DelayStore
import Primitives

extension Pending {
  /// What a checkpoint says of pending messages.
  struct State {
    var watermarks = Watermarks(overall: Watermark(dueMs: 0, sequence: 0))
    var handMs: UnixMs = 0
    var slices: [DelayStore.SliceState] = []
    var buckets: [(bucket: Int64, length: Int)] = []

    mutating func readTimes(_ reader: inout StateReader) throws(CheckpointFault) {
      watermarks.overall = Watermark(dueMs: try reader.read(Int64.self), sequence: try reader.read(UInt64.self))
      handMs = try reader.read(Int64.self)
    }

    mutating func readLanes(_ reader: inout StateReader) throws(CheckpointFault) {
      for _ in 0..<(try reader.read(UInt32.self)) {
        let lane = Int(try reader.read(UInt8.self))
        guard lane < Lane.count else { throw CheckpointFault.short }
        let reached = Watermark(dueMs: try reader.read(Int64.self), sequence: try reader.read(UInt64.self))
        watermarks.behind.append(LaneWatermark(lane: lane, reached: reached))
      }
    }

    mutating func readFiles(_ reader: inout StateReader) throws(CheckpointFault) {
      for _ in 0..<(try reader.read(UInt32.self)) {
        let level = Int(try reader.read(UInt8.self))
        let key = SliceKey(level: level, number: try reader.read(Int64.self))
        let generation = try reader.read(UInt32.self)
        let length = Int(try reader.read(UInt64.self))
        slices.append(DelayStore.SliceState(key: key, generation: generation, length: length))
      }
      for _ in 0..<(try reader.read(UInt32.self)) {
        buckets.append((try reader.read(Int64.self), Int(try reader.read(UInt64.self))))
      }
    }
  }
}
