// What `DecisionLog` promises, held against every implementation.

import DecisionLog
import Primitives
import SimulatedDisk
import Testing

@Suite("every log") struct ConformanceTests {
  private static func begun(_ kind: LogKind, seed: UInt64 = 1) throws -> Lives {
    let lives = Lives(kind, seed: seed)
    #expect(try lives.start() == [])
    return lives
  }

  @Test("begins empty, with sequence 1", arguments: LogKind.allCases)
  func beginsEmpty(kind: LogKind) throws {
    let lives = try Self.begun(kind)
    let log = try #require(lives.log)
    #expect((log.writtenSequence, log.durableSequence, log.settledSequence) == (0, 0, 0))
    #expect(log.inFlightBytes == 0 && log.failure == nil && !log.isSpaceLow && log.reservedBytes > 0)
    #expect(log.releaseGrainBytes > 0 && log.counters == LogCounters() && log.turn() != .finished)
    let buffer = log.takeBuffer()
    #expect(buffer.isEmpty && buffer.nextSequence == 1)
  }

  @Test("gives buffers dense sequences; an empty one goes back unseen", arguments: LogKind.allCases)
  func buffers(kind: LogKind) throws {
    let lives = try Self.begun(kind)
    #expect(lives.submit(records: 3) == 3)
    lives.log.submit(lives.log.takeBuffer(), mustSync: true)
    #expect(lives.submit(records: 2) == 5)
    lives.settle()
    #expect(lives.log.settledSequence == 5 && lives.log.counters.batches == 2)
  }

  @Test("writes and settles in turns, not before", arguments: LogKind.allCases)
  func turns(kind: LogKind) throws {
    let lives = try Self.begun(kind)
    lives.submit(records: 2)
    #expect(lives.log.inFlightBytes > 0 && lives.log.writtenSequence == 0 && lives.log.settledSequence == 0)
    lives.settle()
    #expect((lives.log.writtenSequence, lives.log.durableSequence, lives.log.settledSequence) == (2, 2, 2))
    #expect(lives.log.inFlightBytes == 0 && lives.log.counters.syncs == 1)
  }

  @Test("lets records that nobody waits for rest until somebody does, but not for ever", arguments: LogKind.allCases)
  func syncOnRequest(kind: LogKind) throws {
    let lives = try Self.begun(kind)
    lives.submit(mustSync: false)
    lives.settle()
    #expect(lives.log.settledSequence == 0)
    lives.log.requestSync()
    lives.settle()
    #expect(lives.log.settledSequence == 1)
    lives.submit(mustSync: false)
    lives.settle()
    lives.rest()
    #expect(lives.log.settledSequence == 2)
  }

  @Test("makes what is written durable for a checkpoint", arguments: LogKind.allCases)
  func persists(kind: LogKind) throws {
    let lives = try Self.begun(kind)
    lives.submit(records: 4, mustSync: false)
    lives.settle()
    let written = lives.log.writtenSequence
    try lives.log.persist()
    lives.end(.lossOfPower)
    #expect(try lives.start().count >= written)
  }

  @Test("ends when all that was submitted is durable", arguments: LogKind.allCases)
  func stops(kind: LogKind) throws {
    let lives = try Self.begun(kind)
    lives.submit(mustSync: false)
    lives.submit(mustSync: false)
    lives.log.stop()
    #expect(lives.settle() == .finished)
    #expect(lives.log.durableSequence == 2 && lives.log.inFlightBytes == 0)
    lives.end(.lossOfPower)
    #expect(try lives.start().count == 2)
  }

  @Test("is frozen by a failure: nothing settles after it, and the next life has what had", arguments: LogKind.allCases)
  func failure(kind: LogKind) throws {
    let lives = try Self.begun(kind)
    lives.submit(records: 3)
    lives.settle()
    lives.submit()
    lives.failNext()
    #expect(lives.settle() == .finished)
    let failure = try #require(lives.log.failure)
    lives.submit()
    #expect(lives.settle() == .finished)
    #expect((lives.log.settledSequence, lives.log.durableSequence) == (3, 3) && lives.log.failure == failure)
    lives.end(.lossOfPower)
    let records = try lives.start()
    #expect(records.count >= 3 && records == lives.written)
  }

  @Test("gives back what checkpoints hold, and keeps the rest", arguments: LogKind.allCases, Ending.allCases)
  func releases(kind: LogKind, ending: Ending) throws {
    let lives = try Self.begun(kind)
    // Much more than the grain, so that space does come back.
    for _ in 0..<12 {
      lives.submit(records: 2, payloadBytes: 1500)
      lives.settle()
    }
    lives.release(upTo: 20)
    lives.settle()
    lives.end(ending)
    // A checkpoint that is older than the release is damage to tell of, not to pass over.
    #expect { try Lives.recover(try lives.open(lives.identity)) } throws: { ($0 as? LogError)?.kind == .damaged }
    #expect(try lives.start(from: 21).map(\.sequence) == [21, 22, 23, 24])
    #expect(lives.submit() == 25)
  }

  @Test("refuses a checkpoint that is ahead of it", arguments: LogKind.allCases)
  func behindCheckpoint(kind: LogKind) throws {
    let lives = try Self.begun(kind)
    lives.submit(records: 3)
    lives.settle()
    lives.end(.endOfProcess)
    #expect { try Lives.recover(try lives.open(lives.identity), from: 5) } throws: {
      ($0 as? LogError)?.kind == .damaged
    }
    #expect(try lives.start(from: 4) == [])
  }

  @Test("keeps its identity, refuses another one, and is not taken over without one", arguments: LogKind.allCases)
  func identity(kind: LogKind) throws {
    let lives = try Self.begun(kind)
    let identity = try #require(lives.identity)
    lives.submit()
    lives.settle()
    lives.end(.endOfProcess)
    let other = LogIdentity(store: StoreID(low: 7, high: 7), hashKey: identity.hashKey)
    #expect { try Lives.recover(try lives.open(other)) } throws: { ($0 as? LogError)?.kind == .foreign }
    if kind == .severalMachines || kind == .replicated {
      // It is kept elsewhere, and says itself who it is.
      #expect(try lives.open(nil).identity == identity)
    } else {
      #expect { _ = try lives.open(nil) } throws: { ($0 as? LogError)?.kind == .orphaned }
    }
    #expect(try lives.start() == lives.written)
    #expect(lives.log.identity == identity)
  }

  @Test("ends a recovery with what the reader of records throws, and names the record", arguments: LogKind.allCases)
  func unusable(kind: LogKind) throws {
    struct Broken: Error {}
    let lives = try Self.begun(kind)
    lives.submit(records: 5)
    lives.settle()
    lives.end(.endOfProcess)
    var seen: [Sequence] = []
    #expect {
      _ = try lives.open(lives.identity).recover(from: 2, .strict) { sequence, _, _ in
        seen.append(sequence)
        if sequence == 4 { throw Broken() }
      }
    } throws: {
      guard let error = $0 as? LogError else { return false }
      return error.kind == .unusable && error.description.contains("record 4")
    }
    #expect(seen == [2, 3, 4])
  }

  @Test("can be looked at without being changed", arguments: LogKind.allCases)
  func verifies(kind: LogKind) throws {
    let lives = try Self.begun(kind)
    lives.submit(records: 5)
    lives.settle()
    lives.end(.endOfProcess)
    for _ in 0..<2 {
      let (records, report) = try Lives.recover(try lives.open(lives.identity), from: 3, .verify)
      #expect(records == Array(lives.written.dropFirst(2)))
      #expect((report.records, report.nextSequence) == (3, 6) && report.lost == [] && report.tornTail == nil)
    }
    #expect(try lives.start() == lives.written)
  }

  /// The dumb model beside it: an array.
  @Test("hands over a prefix of what was written, with all that was settled", arguments: LogKind.allCases, 1...24)
  func lives(kind: LogKind, seed: Int) throws {
    let lives = try Self.begun(kind, seed: UInt64(seed))
    var firstNeeded: Sequence = 1
    for _ in 0..<6 {
      var before: (durable: Sequence, settled: Sequence, written: Sequence) = (0, 0, 0)
      for _ in 0..<Int.random(in: 0...30, using: &lives.random) {
        switch Int.random(in: 0..<10, using: &lives.random) {
        case 0..<5:
          let bytes = Int.random(in: 0...700, using: &lives.random)
          lives.submit(
            records: .random(in: 1...3, using: &lives.random), payloadBytes: bytes,
            mustSync: .random(using: &lives.random))
        case 5: lives.log.requestSync()
        case 6:
          firstNeeded = max(firstNeeded, .random(in: 1...lives.log.durableSequence + 1, using: &lives.random))
          lives.release(upTo: firstNeeded - 1)
        default: _ = lives.log.turn()
        }
        let now = (lives.log.durableSequence, lives.log.settledSequence, lives.log.writtenSequence)
        #expect(now.0 <= now.1 && now.1 <= now.2)
        #expect(now.0 >= before.durable && now.1 >= before.settled && now.2 >= before.written)
        before = now
      }
      let submitted = lives.written
      let ending = Ending.allCases.randomElement(using: &lives.random) ?? .lossOfPower
      let kept = ending == .endOfProcess ? lives.log.writtenSequence : lives.log.settledSequence
      lives.end(ending)
      let records = try lives.start(from: firstNeeded)
      #expect(lives.written == Array(submitted.prefix(lives.written.count)))
      #expect(lives.written.count >= kept && records == Array(lives.written.dropFirst(Int(firstNeeded) - 1)))
    }
  }
}
