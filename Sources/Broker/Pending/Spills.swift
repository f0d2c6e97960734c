// What is spilled in each lane.
//
// Holds: a lane has a queue as long as something of it is spilled or on its way back.
// Leaves to others: the order within a lane (SpillQueue), which lane a message belongs to (NearMessages).

import DelayStore
import Primitives

/// The spilled messages of all lanes. Part of `NearMessages`.
struct Spills: ~Copyable {
  private var queues = [SpillQueue?](repeating: nil, count: Lane.count)
  /// Lanes that have a queue.
  private(set) var lanes = LaneSet()

  /// References, those of messages that were cancelled among them.
  var count: Int {
    var count = 0
    for lane in lanes { count += queues[lane]?.count ?? 0 }
    return count
  }

  /// See `SpillQueue.bound`.
  @inline(__always) func bound(_ lane: Int) -> Watermark? { lanes.contains(lane) ? queues[lane]?.bound : nil }

  /// Whether a part of a lane is being read.
  func isOnTheWay(_ lane: Int) -> Bool { queues[lane]?.isOnTheWay ?? false }

  /// When the first message of a lane is due, and the last one of the last but one part that was brought back; nil while a part is on
  /// its way.
  func next(_ lane: Int) -> (dueMs: UnixMs, broughtBeforeDueMs: UnixMs)? {
    guard let queue = queues[lane], !queue.isOnTheWay, let dueMs = queue.firstDueMs else { return nil }
    return (dueMs, queue.broughtBeforeDueMs)
  }

  mutating func append(_ message: SpilledMessage, _ lane: Int) {
    let queue = queues[lane] ?? SpillQueue()
    if !lanes.contains(lane) {
      queues[lane] = queue
      lanes.insert(lane)
    }
    queue.append(message)
  }

  /// See `SpillQueue.takePart`; empty while a part is on its way.
  mutating func takePart(
    _ lane: Int, bytesMax: Int, sliceMs: Int64, through limit: Watermark
  ) -> [SpilledMessage] {
    guard let queue = queues[lane], !queue.isOnTheWay else { return [] }
    return queue.takePart(bytesMax: bytesMax, sliceMs: sliceMs, through: limit)
  }

  /// The part that was taken has come.
  mutating func noteBroughtBack(_ lane: Int) {
    guard let queue = queues[lane] else { return }
    queue.noteBroughtBack()
    guard queue.isEmpty else { return }
    queues[lane] = nil
    lanes.remove(lane)
  }

  /// Calls `body` with every reference that is not on its way, in no order.
  func forEach(_ body: (SpilledMessage) -> Void) {
    for lane in lanes { queues[lane]?.forEach(body) }
  }
}
