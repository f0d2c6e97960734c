// Random runs against the dumb model: same timers, same order, same answers, after every step.

import SeededRandom
import Testing

@testable import TimingWheel

@Suite("The wheel does what a sorted list does")
struct ModelTests {
  /// A wheel and its model, driven together.
  struct Pair: ~Copyable {
    var wheel: TimingWheel
    var model: ModelWheel
    var random: SplitMix64
    var expired = ExpiredTimers(capacity: 1)
    /// IDs that were cancelled or fired: they must stay unknown.
    var gone: [TimerID] = []
    let spanMs: Int64

    init(_ shape: Shape) {
      random = SplitMix64(seed: shape.seed &* 1000 &+ UInt64(shape.wheelSize))
      let startMs = Int64.random(in: 0...100_000, using: &random)
      wheel = TimingWheel(tickMs: shape.tickMs, wheelSize: shape.wheelSize, startMs: startMs)
      model = ModelWheel(tickMs: shape.tickMs, startMs: startMs)
      spanMs = Int64(shape.wheelSize) * shape.tickMs
    }

    /// Near and far, often equal to another timer's, sometimes past.
    mutating func randomDueMs() -> Int64 {
      let nowMs = model.nowMs
      switch UInt8.random(in: 0..<10, using: &random) {
      case 0: return nowMs - Int64.random(in: 0...(nowMs + 5), using: &random)
      case 1...3: return nowMs + Int64.random(in: 0...(2 * spanMs), using: &random)
      case 4...5: return nowMs + Int64.random(in: 0...(spanMs * spanMs), using: &random)
      case 6: return nowMs + Int64.random(in: 0...1_000_000_000_000, using: &random)
      default:
        guard let other = model.timers.randomElement(using: &random) else { return nowMs + 1 }
        return other.dueMs
      }
    }

    mutating func insert() {
      let dueMs = randomDueMs()
      let id = wheel.insert(dueMs: dueMs)
      model.insert(id, dueMs: dueMs)
    }

    mutating func cancel() {
      if Bool.random(using: &random), let stale = gone.randomElement(using: &random) {
        let known = wheel.contains(stale)
        let cancelled = wheel.cancel(stale)
        #expect(!known && !cancelled, "a stale ID is unknown")
      }
      guard let timer = model.timers.randomElement(using: &random) else { return }
      let known = wheel.contains(timer.id)
      let cancelled = wheel.cancel(timer.id)
      let again = wheel.cancel(timer.id)
      #expect(known && cancelled && !again)
      let modelCancelled = model.cancel(timer.id)
      #expect(modelCancelled)
      gone.append(timer.id)
    }

    mutating func advance() {
      var targetMs = model.nowMs
      switch UInt8.random(in: 0..<8, using: &random) {
      case 0: targetMs -= Int64.random(in: 0...10, using: &random)
      case 1...3: targetMs += Int64.random(in: 0...3, using: &random) * model.tickMs
      case 4: targetMs += Int64.random(in: 0...(3 * spanMs), using: &random)
      case 5: targetMs += Int64.random(in: 0...(spanMs * spanMs * 2), using: &random)
      case 6: targetMs = wheel.nextWakeUpMs ?? targetMs
      default: targetMs = wheel.nextDueMs ?? targetMs
      }
      targetMs = max(targetMs, 0)
      let limit = Bool.random(using: &random) ? Int.max : Int.random(in: 1...8, using: &random)
      expired.removeAll()
      let dueNow = wheel.dueNowCount
      let reachedMs = wheel.advance(to: targetMs, limit: limit, into: &expired)
      let isStopped = expired.count >= limit
      #expect(isStopped || expired.count == model.due(by: targetMs).count)
      #expect(limit == .max || expired.count <= limit + 30 + dueNow)
      let due = model.advance(to: targetMs, stoppingBehind: isStopped ? expired.count : nil)
      #expect(reachedMs == model.nowMs && wheel.currentTimeMs == model.nowMs)
      #expect(expired.entries == due.map { TimerEntry(dueMs: $0.dueMs, id: $0.id) })
      #expect(due.allSatisfy { $0.dueMs <= reachedMs }, "nothing is early")
      gone.append(contentsOf: due.map(\.id))
    }

    /// Advances both to `targetMs` and compares what leaves.
    mutating func advance(to targetMs: Int64) {
      expired.removeAll()
      wheel.advance(to: targetMs, into: &expired)
      let due = model.advance(to: targetMs)
      #expect(expired.entries.map(\.id) == due.map(\.id))
    }

    func compare() {
      wheel.checkInvariants()
      #expect(wheel.count == model.timers.count)
      let nextDueMs = model.nextDueMs
      #expect(wheel.nextDueMs == nextDueMs)
      let wakeUpMs = wheel.nextWakeUpMs
      #expect((wakeUpMs == nil) == (nextDueMs == nil))
      if let wakeUpMs, let nextDueMs { #expect(wakeUpMs >= model.nowMs && wakeUpMs <= nextDueMs) }
      #expect(wheel.levelSnapshots.reduce(wheel.dueNowCount) { $0 + $1.pending } == model.timers.count)
    }
  }

  @Test("through any mixture of insert, cancel and advance", arguments: Shape.all(seeds: 16))
  func mixture(_ shape: Shape) {
    var pair = Pair(shape)
    for step in 0..<300 {
      switch UInt8.random(in: 0..<10, using: &pair.random) {
      case 0...5: pair.insert()
      case 6...7: pair.cancel()
      default: pair.advance()
      }
      if step % 8 == 0 { pair.compare() }
    }
    pair.compare()
    drain(&pair)
  }

  @Test("when many timers share few ticks while time creeps on", arguments: Shape.all(seeds: 12))
  func crowded(_ shape: Shape) {
    var pair = Pair(shape)
    let baseMs = pair.model.nowMs
    for round in 0..<30 {
      for _ in 0..<8 {
        let dueMs = baseMs + Int64.random(in: 1...6, using: &pair.random) * pair.spanMs / 2
        let id = pair.wheel.insert(dueMs: dueMs)
        pair.model.insert(id, dueMs: dueMs)
      }
      if round % 3 == 0 { pair.cancel() }
      let stepMs = max(pair.spanMs / 8, pair.model.tickMs)
      pair.advance(to: pair.model.nowMs + stepMs)
    }
    pair.compare()
    drain(&pair)
  }

  @Test("for every sequence of five steps, in the smallest wheels", arguments: [2, 3])
  func everySequence(wheelSize: Int) {
    let kinds = 6
    for sequence in 0..<(kinds * kinds * kinds * kinds * kinds) {
      var pair = Pair(Shape(wheelSize: wheelSize, tickMs: 1, seed: 0))
      var rest = sequence
      for _ in 0..<5 {
        let kind = rest % kinds
        rest /= kinds
        if kind < 3 {
          let dueMs = pair.model.nowMs + [3, 4, 9][kind]
          pair.model.insert(pair.wheel.insert(dueMs: dueMs), dueMs: dueMs)
        } else if kind < 5 {
          pair.advance(to: pair.model.nowMs + [1, 2][kind - 3])
        } else if let oldest = pair.model.timers.first {
          let cancelled = pair.wheel.cancel(oldest.id)
          if !cancelled || !pair.model.cancel(oldest.id) { Issue.record("a waiting timer can be cancelled") }
        }
      }
      pair.advance(to: pair.model.nowMs + 20)
      if pair.wheel.count != 0 { Issue.record("something was left behind by sequence \(sequence)") }
    }
  }

  /// Everything left leaves, waking up only when the wheel says so.
  private func drain(_ pair: inout Pair) {
    var wakeUps = 0
    while let wakeUpMs = pair.wheel.nextWakeUpMs {
      let visited = pair.wheel.slotsVisited
      pair.advance(to: wakeUpMs)
      #expect(pair.wheel.slotsVisited > visited, "no wake-up is in vain")
      wakeUps += 1
      #expect(wakeUps < 20_000, "the wheel makes progress")
      if wakeUps >= 20_000 { return }
    }
    #expect(pair.wheel.count == 0 && pair.model.timers.isEmpty)
    pair.wheel.checkInvariants()
  }
}
