// A broker that only replays, with less memory than the one that decides.

import DataFiles
import DecisionLog
import Primitives
import SimulatedDisk
import Testing

@testable import Broker

@Suite("spilled messages of a follower")
struct SpillFollowingTests {
  /// Applies the records of a leader.
  private final class Follower {
    private let io: ManualIOQueue
    let broker: Broker
    private var applied: Sequence = 0

    init(_ settings: BrokerSettings, startMs: UnixMs) throws {
      let storage = SimulatedStorage()
      io = ManualIOQueue(storage: storage)
      let hashKey = StoreID(low: 1, high: 2)
      let empty = Broker(settings: settings, hashKey: hashKey, io: io)
      empty.start(nowNs: startMs * TimeUnits.nsPerMs)
      let state = try #require(CheckpointState(empty.checkpoint().state[...]))
      broker = Broker(settings: settings, hashKey: hashKey, io: io)
      try broker.recover(state, files: OpenFiles(storage: storage))
    }

    func drain() {
      while true {
        io.runAll()
        let tasks = io.takeFinished()
        if tasks.isEmpty { return }
        for task in tasks { task.finished() }
      }
    }

    func apply(_ records: RecordBuffer) throws {
      var rest = UnsafeRawBufferPointer(records.bytesToWrite())[RecordBuffer.frontBytes...]
      while case .frame(let frame) = FoundFrame.parse(UnsafeRawBufferPointer(rebasing: rest)) {
        rest = rest.dropFirst(frame.bytes)
        guard frame.sequence > applied else { continue }
        applied = frame.sequence
        try broker.replay(sequence: frame.sequence, kind: frame.kind, payload: frame.payload, drain: drain)
        broker.pending.checkInvariants()
      }
    }

    func tidy(aheadMs: UnixMs) {
      broker.tidyWhileFollowing(aheadMs: aheadMs)
      drain()
      broker.pending.checkInvariants()
    }
  }

  @Test("stay on disk until they leave, when the leader does not go on")
  func waiting() throws {
    let leader = try SpillTests.Run(seed: 1, nearBytes: 1 << 30)
    var settings = leader.broker.settings
    settings.nearBytesMax = 4000
    let follower = try Follower(settings, startMs: leader.nowMs)
    let atMs = leader.nowMs + 100
    try leader.turn {
      for number in 0..<500 {
        try leader.schedule(number % 5 == 0 ? "b" : "a", "m\(number)", atMs: atMs + Int64(number % 3))
      }
    }
    #expect(leader.broker.onDiskCount == 0)
    try follower.apply(leader.broker.records)
    // Their time is long past, and the leader has not said that they left.
    for _ in 0..<500 { follower.tidy(aheadMs: atMs + 1000) }
    #expect(follower.broker.onDiskCount > 450)
    leader.nowMs = atMs
    for _ in 0..<500 where !leader.pending.isEmpty {
      try leader.turn()
      leader.nowMs += 1
      try follower.apply(leader.broker.records)
      let nowMs = leader.broker.nowMs
      #expect(follower.broker.digest(asOf: nowMs) == leader.broker.digest(asOf: nowMs))
    }
    #expect(leader.pending.isEmpty && follower.broker.onDiskCount == 0)
  }
}
