// The order in which messages are released, and how far a release has come.

import Primitives

/// A position in the order of release: by time, and by acceptance within a time.
struct Watermark: Comparable, BitwiseCopyable {
  /// Time of release.
  var dueMs: UnixMs
  /// Sequence of acceptance.
  var sequence: Sequence

  @inline(__always) static func < (left: Watermark, right: Watermark) -> Bool {
    (left.dueMs, left.sequence) < (right.dueMs, right.sequence)
  }
}

/// How far the release has come in one lane.
struct LaneWatermark: PayloadElement, Equatable {
  var lane: Int
  var reached: Watermark

  static let byteCount = 17

  init(lane: Int, reached: Watermark) {
    self.lane = lane
    self.reached = reached
  }

  func encode(to payload: inout PayloadWriter) {
    payload.write(UInt8(lane))
    payload.write(reached.dueMs)
    payload.write(reached.sequence)
  }

  init(decoding reader: inout PayloadReader) {
    lane = Int(reader.read(UInt8.self))
    reached = Watermark(dueMs: reader.read(Int64.self), sequence: reader.read(UInt64.self))
  }
}

/// How far the release has come: in every lane up to `overall`, but for the lanes that are behind because so much is due in them.
struct Watermarks: Equatable {
  var overall: Watermark
  /// By lane.
  var behind: [LaneWatermark] = []

  func reached(lane: Int) -> Watermark { behind.first { $0.lane == lane }?.reached ?? overall }

  func reached(topic: UInt32) -> Watermark { behind.isEmpty ? overall : reached(lane: Lane.of(topic: topic)) }
}

/// The order of acceptance of messages: the journal record that accepted a message, and the message's position in that record.
enum MessageSequence {
  private static let positionBits: UInt64 = 10
  /// From a record's first sequence to that of the next record.
  static let perRecord: Sequence = 1 << positionBits

  /// The record that accepted the message of this sequence.
  static func record(of sequence: Sequence) -> Sequence { sequence >> positionBits }

  static func of(record: Sequence, position: Int = 0) -> Sequence { record << positionBits | UInt64(position) }
}
