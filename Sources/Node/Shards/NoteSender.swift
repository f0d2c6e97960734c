// Tells the leaders of shards that this node is there, and how far its checkpoints reach: at once and each minute, so that they
// truncate no more of the logs than nobody needs.
//
// A thread of its own with connections that block: what it does is rare and may take its time.
// Leaves to others: the line that it sends (NodeLink), what becomes of a note (ReplicatedLog).

import Cluster
import Platform
import Primitives
import Synchronization

/// The thread that sends notes.
final class NoteSender: @unchecked Sendable {
  private let settings: NodeSettings
  private let shards: [ShardLoop]
  private let wake: EventSignal
  private let isStopping = Atomic(false)
  private var thread: Thread?
  /// The note of each shard that its leader has taken, and when, in ms since boot.
  private var told: [Int: (note: CheckpointNote, leader: String, atMs: Int64)] = [:]

  private static let lookNs: Int64 = 2_000_000_000
  private static let againMs: Int64 = 60_000

  init(_ settings: NodeSettings, _ shards: [ShardLoop]) throws(SystemError) {
    self.settings = settings
    self.shards = shards
    wake = try EventSignal()
  }

  func start() throws(SystemError) {
    thread = try Thread(name: "notes") { [self] in
      while !isStopping.load(ordering: .acquiring) {
        for shard in shards where !isStopping.load(ordering: .acquiring) { look(at: shard.view) }
        wake.wait(timeoutNs: Self.lookNs)
      }
    }
  }

  func stop() {
    isStopping.store(true, ordering: .releasing)
    wake.raise()
    thread?.join()
  }

  private func look(at view: ShardView) {
    guard view.role == "following", let leader = view.leader(otherThan: settings.name) else { return }
    let note = view.status.checkpoint
    let nowMs = SystemClock.bootNs() / TimeUnits.nsPerMs
    if let before = told[view.number], before.note == note, before.leader == leader.node,
      nowMs - before.atMs < Self.againMs
    {
      return
    }
    guard NodeLink.tell(note, ofShard: view.number, to: leader, settings) else { return }
    told[view.number] = (note, leader.node, nowMs)
  }
}
