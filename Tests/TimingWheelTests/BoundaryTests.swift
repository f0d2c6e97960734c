// The ends: of the number range, of generations, of memory, and what time without timers costs.

import SeededRandom
import Testing

@testable import TimingWheel

@Suite("The wheel at its limits")
struct BoundaryTests {
  @Test("due times of any size are taken and leave in order", arguments: Shape.all(seeds: 1))
  func wholeRange(_ shape: Shape) {
    var wheel = TimingWheel(tickMs: shape.tickMs, wheelSize: shape.wheelSize, startMs: 1_000)
    var expired = ExpiredTimers()
    let dues: [Int64] = [.max, .max - 1, .max / 2, 1 << 40, 1_001, 1_000, 0, -1, .min, .max]
    for dueMs in dues { _ = wheel.insert(dueMs: dueMs) }
    wheel.checkInvariants()
    wheel.advance(to: 1_000, into: &expired)
    #expect(expired.entries.map(\.dueMs) == [1_000, 0, -1, .min])

    expired.removeAll()
    let beforeMs = wheel.advance(to: .max - 1, into: &expired)
    #expect(beforeMs <= .max - 1)
    #expect(expired.entries.allSatisfy { $0.dueMs <= beforeMs })
    #expect(wheel.contains(TimerID(index: 0, generation: 1)) == true, "what is due at the end waits for the end")
    wheel.checkInvariants()

    let endMs = wheel.advance(to: .max, into: &expired)
    #expect(endMs == .max && wheel.count == 0 && expired.count == 6)
    #expect(expired.entries.map(\.dueMs).filter { $0 == .max }.count == 2)

    _ = wheel.insert(dueMs: .max)
    expired.removeAll()
    wheel.advance(to: .max, into: &expired)
    #expect(expired.count == 1, "at the end of time everything is due now")
  }

  @Test("the largest tick and the largest wheel work")
  func extremeShapes() {
    for (tickMs, wheelSize) in [(Int64.max, 2), (Int64.max / 2, 3), (1 << 40, 512), (1, TimingWheel.wheelSizeMax)] {
      var wheel = TimingWheel(tickMs: tickMs, wheelSize: wheelSize, startMs: 0)
      var expired = ExpiredTimers()
      for dueMs: Int64 in [.max, 5, 1 << 41, .max - 5] { _ = wheel.insert(dueMs: dueMs) }
      #expect(wheel.levelSnapshots.allSatisfy { $0.tickMs > 0 && $0.intervalMs >= $0.tickMs })
      wheel.advance(to: .max, into: &expired)
      #expect(expired.count == 4 && wheel.count == 0)
    }
  }

  @Test("a past due time is due now, in the order of insertion, even without time moving")
  func past() {
    var wheel = TimingWheel(tickMs: 1, wheelSize: 20, startMs: 100)
    var expired = ExpiredTimers()
    let first = wheel.insert(dueMs: 100)
    let second = wheel.insert(dueMs: 3)
    let later = wheel.insert(dueMs: 101)
    #expect(wheel.nextDueMs == 100 && wheel.nextWakeUpMs == 100 && wheel.dueNowCount == 2)
    #expect(wheel.location(of: second) == TimerLocation(level: 0, slot: 0))
    let cancelled = wheel.cancel(first)
    #expect(cancelled)
    wheel.advance(to: 99, into: &expired)
    #expect(expired.count == 0, "time does not go back")
    wheel.advance(to: 100, into: &expired)
    #expect(expired.entries.map(\.id) == [second])
    wheel.advance(to: 101, into: &expired)
    #expect(expired.entries.map(\.id) == [second, later])
  }

  @Test("a limit stops at the end of a tick; the rest follows")
  func limit() {
    var wheel = TimingWheel(tickMs: 1, wheelSize: 20, startMs: 0)
    var expired = ExpiredTimers()
    for dueMs: Int64 in [5, 5, 5, 6, 700, 700] { _ = wheel.insert(dueMs: dueMs) }
    let firstMs = wheel.advance(to: 1_000, limit: 2, into: &expired)
    #expect(firstMs == 5 && expired.count == 3)
    let secondMs = wheel.advance(to: 1_000, limit: 1, into: &expired)
    #expect(secondMs == 6 && expired.count == 4)
    let thirdMs = wheel.advance(to: 1_000, limit: 0, into: &expired)
    #expect(thirdMs == 700 && expired.count == 6, "a limit below one is one")
    let lastMs = wheel.advance(to: 1_000, limit: 1, into: &expired)
    #expect(lastMs == 1_000 && expired.count == 6)
  }

  @Test("a limit stops within a tick of many; what is inserted meanwhile comes in its place", arguments: [700, 800])
  func limitWithinATick(dueMs: Int64) {
    // 800 is the start of a coarse slot, from which timers come straight to their end.
    var wheel = TimingWheel(tickMs: 1, wheelSize: 20, startMs: 0)
    var expired = ExpiredTimers()
    var ids = (0..<1000).map { _ in wheel.insert(dueMs: dueMs) }
    let reachedMs = wheel.advance(to: 1_000, limit: 100, into: &expired)
    #expect(reachedMs == dueMs && wheel.completedTimeMs == dueMs - 1 && (100...130).contains(expired.count))
    #expect(wheel.nextWakeUpMs == dueMs)
    let early = wheel.insert(dueMs: 3)
    let late = wheel.insert(dueMs: dueMs)
    ids += [early, late]
    let cancelled = wheel.cancel(ids[600])
    #expect(cancelled)
    ids.remove(at: 600)
    while wheel.advance(to: 1_000, limit: 100, into: &expired) < 1_000 { wheel.checkInvariants() }
    #expect(expired.entries.map(\.id) == ids)
  }

  @Test("empty time costs nothing, however long", arguments: [2, 3, 20, 64, 512])
  func emptyTime(wheelSize: Int) {
    var wheel = TimingWheel(tickMs: 1, wheelSize: wheelSize, startMs: 0)
    var expired = ExpiredTimers()
    let yearsMs: Int64 = 1_000_000_000_000_000
    wheel.advance(to: yearsMs, into: &expired)
    #expect(wheel.slotsVisited == 0)
    _ = wheel.insert(dueMs: 3 * yearsMs)
    let levelCount = wheel.levelSnapshots.count
    wheel.advance(to: 4 * yearsMs, into: &expired)
    #expect(expired.count == 1)
    #expect(wheel.slotsVisited <= levelCount, "at most one slot a level")
  }

  @Test("inserting and cancelling for ever takes no more memory", arguments: [0, 1, 1_000])
  func deadAreBounded(waiting: Int) {
    var wheel = TimingWheel(tickMs: 1, wheelSize: 512, startMs: 0)
    for _ in 0..<waiting { _ = wheel.insert(dueMs: 5_000) }
    var chunksMax = 0
    for turn in 0..<100_000 {
      let id = wheel.insert(dueMs: turn % 2 == 0 ? 5_000 : 5_001)
      let cancelled = wheel.cancel(id)
      if !cancelled { Issue.record("a fresh timer can be cancelled") }
      chunksMax = max(chunksMax, wheel.chunks.inUse)
    }
    #expect(chunksMax <= 2 + 2 * waiting / Chunk.capacity)
    #expect(wheel.nodes.count == UInt32(waiting + 1), "the index of a cancelled timer is used again at once")
    wheel.checkInvariants()
  }

  @Test("cancelling most of a slot keeps the order of the rest")
  func rewriteKeepsOrder() {
    var wheel = TimingWheel(tickMs: 1, wheelSize: 20, startMs: 0)
    var random = SplitMix64(seed: 7)
    var waiting = (0..<2_000).map { _ in wheel.insert(dueMs: 5_000) }
    while waiting.count > 3 {
      let cancelled = wheel.cancel(waiting.remove(at: Int.random(in: 0..<waiting.count, using: &random)))
      #expect(cancelled)
      if waiting.count % 100 == 0 {
        waiting.append(wheel.insert(dueMs: 5_000))
        wheel.checkInvariants()
        let cancelled = wheel.cancel(waiting.removeFirst())
        #expect(cancelled)
      }
    }
    var expired = ExpiredTimers()
    wheel.advance(to: 5_000, into: &expired)
    #expect(expired.entries.map(\.id) == waiting)
    #expect(wheel.chunks.inUse == 0)
  }

  @Test("an index is retired with its last generation, and no ID comes twice")
  func generationsEnd() {
    var wheel = TimingWheel(tickMs: 1, wheelSize: 20, startMs: 0, firstGeneration: .max - 4)
    var expired = ExpiredTimers()
    var seen: Set<TimerID> = []
    var gone: [TimerID] = []
    for turn in 0..<50 {
      let id = wheel.insert(dueMs: 300)
      #expect(seen.insert(id).inserted)
      if turn % 2 == 0 {
        let cancelled = wheel.cancel(id)
        #expect(cancelled)
      } else {
        let dueNow = wheel.insert(dueMs: 0)
        #expect(seen.insert(dueNow).inserted)
        expired.removeAll()
        wheel.advance(to: 0, into: &expired)
        #expect(expired.entries.map(\.id) == [dueNow])
        let cancelled = wheel.cancel(id)
        #expect(cancelled)
        gone.append(dueNow)
      }
      gone.append(id)
      wheel.checkInvariants()
    }
    #expect(wheel.nodes.retiredCount > 10)
    for id in gone { #expect(wheel.contains(id) == false) }
  }

  @Test("made-up IDs are unknown")
  func madeUp() {
    var wheel = TimingWheel(tickMs: 1, wheelSize: 20, startMs: 0)
    let id = wheel.insert(dueMs: 5)
    let cancelled = wheel.cancel(id)
    #expect(cancelled)
    for index: UInt32 in [0, 1, .max] {
      for generation: UInt32 in [0, 1, 2, 3, .max] {
        let madeUp = TimerID(index: index, generation: generation)
        let known = wheel.contains(madeUp)
        let cancelled = wheel.cancel(madeUp)
        #expect(!known && !cancelled && wheel.location(of: madeUp) == nil)
      }
    }
  }

  @Test("the buffer of expired timers grows, empties and shrinks")
  func expiredBuffer() {
    var wheel = TimingWheel(tickMs: 1, wheelSize: 20, startMs: 0)
    var expired = ExpiredTimers(capacity: 0)
    for dueMs in 1...1_000 { _ = wheel.insert(dueMs: Int64(dueMs)) }
    wheel.advance(to: 1_000, into: &expired)
    #expect(expired.entries.map(\.dueMs) == Array(1...1_000))
    expired.removeAll(keepingCapacity: false)
    #expect(expired.isEmpty && expired.capacity == 1)
  }
}

@Suite("The occupancy bitmap")
struct OccupancyBitmapTests {
  @Test("the next set bit, going round, is that of a plain search", arguments: [2, 3, 63, 64, 65, 512, 4_097, 9_000])
  func next(bitCount: Int) {
    var random = SplitMix64(seed: UInt64(bitCount))
    let bitmap = OccupancyBitmap(bitCount: bitCount)
    defer { bitmap.deallocate() }
    var set: Set<Int> = []
    for _ in 0..<60 {
      let bit = Int.random(in: 0..<bitCount, using: &random)
      if Int.random(in: 0..<3, using: &random) == 0 {
        bitmap.remove(bit)
        set.remove(bit)
      } else {
        bitmap.insert(bit)
        set.insert(bit)
      }
      let from = Int.random(in: 0..<bitCount, using: &random)
      #expect(bitmap.contains(from) == set.contains(from))
      #expect(bitmap.first(from: from) == set.filter { $0 >= from }.min())
      let distances = set.subtracting([from]).map { ($0 - from + bitCount) % bitCount }
      #expect(bitmap.distanceToNext(after: from) == distances.min())
      #expect(bitmap.isEmpty == set.isEmpty)
    }
  }
}
