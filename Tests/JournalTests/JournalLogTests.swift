// The journal behind the seam, turn by turn on one thread: group commit, policies, failures, space.

import DecisionLog
import Primitives
import SimulatedDisk
import Synchronization
import Testing

@testable import Journal

/// A journal that the test drives, with a clock of its own.
final class Driven: @unchecked Sendable {
  let storage: SimulatedStorage
  let now = Atomic<Int64>(0)
  let notifications = Atomic(0)
  private(set) var log: JournalLog!

  init(_ storage: SimulatedStorage = SimulatedStorage(), policy: SyncPolicy = .always) throws {
    self.storage = storage
    log = try openLog(
      storage, policy: policy, clock: { [unowned self] in now.load(ordering: .relaxed) },
      notify: { [unowned self] in notifications.wrappingAdd(1, ordering: .relaxed) })
  }

  func submit(records: Int = 1, payloadBytes: Int = 10, mustSync: Bool = true) {
    let buffer = log.takeBuffer()
    for _ in 0..<records {
      buffer.append(
        Record(sequence: buffer.nextSequence, kind: 1, payload: [UInt8](repeating: 1, count: payloadBytes)))
    }
    log.submit(buffer, mustSync: mustSync)
  }

  /// Turns until there is nothing to do now.
  @discardableResult func settle() -> NextTurn {
    while true {
      let next = log.turn()
      if next != .now { return next }
    }
  }

  func advance(ms: Int64) { now.wrappingAdd(ms * 1_000_000, ordering: .relaxed) }
}

@Suite struct JournalLogTests {
  @Test("one sync serves all buffers that waited")
  func oneSync() throws {
    let driven = try Driven()
    for _ in 0..<5 { driven.submit(records: 2) }
    #expect(driven.log.durableSequence == 0 && driven.log.inFlightBytes > 0)
    _ = driven.log.turn()
    #expect(driven.log.durableSequence == 10 && driven.log.writtenSequence == 10)
    #expect(driven.log.counters.syncs == 1 && driven.log.counters.batches == 5)
    #expect(driven.log.inFlightBytes == 0 && driven.notifications.load(ordering: .relaxed) == 1)
    #expect(driven.settle() == .whenWoken)
  }

  @Test("what nobody waits for is synced after 100 ms, or with the next that must be")
  func linger() throws {
    let driven = try Driven()
    driven.submit(mustSync: false)
    #expect(driven.settle() == .after(ns: 100_000_000))
    #expect(driven.log.writtenSequence == 1 && driven.log.durableSequence == 0)
    driven.submit()
    driven.settle()
    #expect(driven.log.durableSequence == 2)
    driven.submit(mustSync: false)
    driven.settle()
    driven.advance(ms: 100)
    #expect(driven.settle() == .whenWoken && driven.log.durableSequence == 3)
  }

  @Test("with an interval, replies wait for the write only and syncs for the interval")
  func interval() throws {
    let driven = try Driven(policy: .interval(ms: 20))
    driven.submit()
    #expect(driven.settle() == .after(ns: 20_000_000))
    #expect(driven.log.settledSequence == 1 && driven.log.durableSequence == 0)
    driven.advance(ms: 19)
    driven.submit()
    driven.settle()
    #expect(driven.log.durableSequence == 0)
    driven.advance(ms: 1)
    driven.settle()
    #expect(driven.log.durableSequence == 2)
  }

  @Test("without syncs, a change of segments and the end still sync")
  func never() throws {
    let driven = try Driven(policy: .never)
    driven.submit(payloadBytes: 3000)
    #expect(driven.settle() == .whenWoken)
    #expect(driven.log.durableSequence == 0)
    driven.submit(payloadBytes: 3000)
    driven.settle()
    #expect(driven.log.durableSequence == 1)
    driven.log.stop()
    #expect(driven.settle() == .finished && driven.log.durableSequence == 2)
  }

  @Test("a failure at any operation freezes the journal: nothing is written after it, and nothing unsynced is durable")
  func failureFreezes() throws {
    let before = try Driven().storage.operations
    for operation in before + 1...before + 40 {
      let driven = try Driven()
      driven.storage.setFault(.failOnce, atOperation: operation)
      for _ in 0..<12 {
        driven.submit(records: 2, payloadBytes: 700)
        driven.settle()
      }
      guard let failure = driven.log.failure else {
        Issue.record("operation \(operation) is among those of this run")
        continue
      }
      let confirmed = driven.log.durableSequence
      #expect(confirmed < 24 && failure.kind == .failed)
      #expect(driven.storage.operations == operation, "nothing is tried after the failed operation")
      #expect(driven.log.turn() == .finished)
      // What was confirmed outlives the failure and a loss of power.
      let left = driven.storage.crash(seed: UInt64(operation))
      #expect(try recover(left).report.nextSequence > confirmed, "operation \(operation)")
    }
  }

  @Test("a full disk is told ahead, the reserve goes on serving, and room makes all well again")
  func spaceLow() throws {
    let storage = SimulatedStorage(capacityBytes: 8192)
    let driven = try Driven(storage)
    driven.submit()
    #expect(driven.settle() == .after(ns: 1_000_000_000))
    #expect(driven.log.isSpaceLow && driven.log.failure == nil && driven.log.durableSequence == 1)
    #expect(driven.log.reservedBytes > 3000)
    driven.submit(payloadBytes: 2000)
    driven.settle()
    #expect(driven.log.durableSequence == 2 && driven.log.isSpaceLow)
    storage.capacityBytes = .max
    driven.advance(ms: 1000)
    #expect(driven.settle() == .whenWoken)
    #expect(!driven.log.isSpaceLow && driven.log.reservedBytes > 4000)
    driven.submit(payloadBytes: 3000)
    driven.settle()
    #expect(driven.log.durableSequence == 3)
  }

  @Test("when the reserve is used up on a full disk, the journal freezes and keeps what it had")
  func spaceGone() throws {
    let storage = SimulatedStorage(capacityBytes: 8192)
    let driven = try Driven(storage)
    for _ in 0..<3 {
      driven.submit(payloadBytes: 1500)
      driven.settle()
    }
    #expect(driven.log.failure?.kind == .diskFull && driven.log.durableSequence == 2)
    #expect(try recover(storage).report.nextSequence == 3)
  }

  @Test("a checkpoint frees segments: one becomes the next one, the others go")
  func release() throws {
    let driven = try Driven()
    for _ in 0..<12 {
      driven.submit(payloadBytes: 1500)
      driven.settle()
    }
    let before = driven.storage.paths.count
    driven.log.release(upTo: 10)
    driven.settle()
    #expect(driven.storage.paths.count < before)
    #expect(try recover(driven.storage, from: 11).report.nextSequence == 13)
    #expect(throws: JournalError.self) { try recover(driven.storage) }
  }

  @Test("a segment is synced part by part while it is made ready, so that the change to it has little to sync")
  func preparation() throws {
    let storage = SimulatedStorage()
    let segmentBytes = 3 * SegmentWriter.fillBytes
    let writer = try SegmentWriter(
      storage: storage, store: store, recovered: recover(storage).report, segmentBytes: segmentBytes)
    storage.keepLog()
    while try writer.prepareStep() {}
    let operations = storage.log.map { String($0.drop { $0 != " " }.dropFirst().prefix { $0 != " " }) }
    #expect(operations == ["create", "preallocate", "write", "sync", "write", "sync", "write", "sync"])
  }

  @Test("buffers come back for reuse")
  func pool() throws {
    let driven = try Driven()
    let first = driven.log.takeBuffer()
    first.append(Record(sequence: 1, kind: 1, payload: []))
    driven.log.submit(first, mustSync: true)
    driven.settle()
    let second = driven.log.takeBuffer()
    #expect(first === second && second.isEmpty && second.nextSequence == 2)
    driven.log.submit(second, mustSync: true)
    #expect(driven.log.takeBuffer() === second)
  }
}
