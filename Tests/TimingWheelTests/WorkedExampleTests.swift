// The worked example of the design notes as a table: tick 1 ms, 20 slots, so levels of 20, 400 and 8000 ms.

import Testing

@testable import TimingWheel

@Suite("The worked example: tick 1 ms, 20 slots")
struct WorkedExampleTests {
  /// At `atMs`, the timer due at `dueMs` (inserted at `insertedAtMs`) lies in `level` and `slot`; level 0 is due now.
  struct Step: CustomTestStringConvertible, Sendable {
    let dueMs: Int64
    let insertedAtMs: Int64
    let atMs: Int64
    let level: Int
    let slot: Int

    init(due dueMs: Int64, insertedAt insertedAtMs: Int64 = 0, at atMs: Int64, level: Int, slot: Int) {
      self.dueMs = dueMs
      self.insertedAtMs = insertedAtMs
      self.atMs = atMs
      self.level = level
      self.slot = slot
    }

    var testDescription: String { "due \(dueMs), inserted at \(insertedAtMs): at \(atMs) level \(level) slot \(slot)" }
  }

  static let steps = [
    Step(due: 2, at: 0, level: 1, slot: 2),
    Step(due: 10, insertedAt: 2, at: 2, level: 1, slot: 10),
    Step(due: 21, insertedAt: 2, at: 2, level: 1, slot: 1),
    Step(due: 19, at: 0, level: 1, slot: 19),
    Step(due: 20, at: 0, level: 2, slot: 1),
    Step(due: 350, at: 0, level: 2, slot: 17),
    Step(due: 350, at: 339, level: 2, slot: 17),
    Step(due: 350, at: 340, level: 1, slot: 10),
    Step(due: 399, at: 0, level: 2, slot: 19),
    Step(due: 400, at: 0, level: 3, slot: 1),
    Step(due: 450, at: 0, level: 3, slot: 1),
    Step(due: 446, at: 0, level: 3, slot: 1),
    Step(due: 455, at: 0, level: 3, slot: 1),
    Step(due: 473, at: 0, level: 3, slot: 1),
    Step(due: 450, at: 399, level: 3, slot: 1),
    Step(due: 450, at: 400, level: 2, slot: 2),
    Step(due: 446, at: 400, level: 2, slot: 2),
    Step(due: 455, at: 400, level: 2, slot: 2),
    Step(due: 473, at: 400, level: 2, slot: 3),
    Step(due: 450, at: 440, level: 1, slot: 10),
    Step(due: 446, at: 440, level: 1, slot: 6),
    Step(due: 455, at: 440, level: 1, slot: 15),
    Step(due: 473, at: 460, level: 1, slot: 13),
    Step(due: 0, at: 0, level: 0, slot: 0),
    Step(due: 8000, at: 0, level: 4, slot: 1),
  ]

  @Test("a timer lies where the notes say", arguments: steps)
  func place(_ step: Step) {
    var wheel = TimingWheel(tickMs: 1, wheelSize: 20, startMs: 0)
    var expired = ExpiredTimers()
    wheel.advance(to: step.insertedAtMs, into: &expired)
    let id = wheel.insert(dueMs: step.dueMs)
    if step.atMs > step.insertedAtMs { wheel.advance(to: step.atMs, into: &expired) }
    let location = wheel.location(of: id)
    #expect(location == TimerLocation(level: step.level, slot: step.slot))
    wheel.checkInvariants()
  }

  @Test("all together: 450 travels from level 3 to level 1 and fires between 446 and 455")
  func together() {
    var wheel = TimingWheel(tickMs: 1, wheelSize: 20, startMs: 0)
    var expired = ExpiredTimers()
    for dueMs: Int64 in [350, 450, 446, 455, 473] { _ = wheel.insert(dueMs: dueMs) }
    let third = wheel.levelSnapshots[2]
    #expect(third.tickMs == 400 && third.intervalMs == 8000 && third.pending == 4)
    #expect(third.occupiedSlots == [.init(slot: 1, liveCount: 4)])

    var wakeUps: [Int64] = []
    while let wakeUpMs = wheel.nextWakeUpMs {
      wakeUps.append(wakeUpMs)
      wheel.advance(to: wakeUpMs, into: &expired)
      wheel.checkInvariants()
    }
    #expect(wakeUps == [340, 350, 400, 440, 446, 450, 455, 460, 473])
    #expect(expired.entries.map(\.dueMs) == [350, 446, 450, 455, 473])
  }

  @Test("with a tick of 10 ms a timer for 15 fires at 20, one for 20 at 20, in the order of insertion")
  func roundsUp() {
    var wheel = TimingWheel(tickMs: 10, wheelSize: 20, startMs: 7)
    var expired = ExpiredTimers()
    #expect(wheel.currentTimeMs == 0)
    _ = wheel.insert(dueMs: 20)
    _ = wheel.insert(dueMs: 15)
    let reachedMs = wheel.advance(to: 19, into: &expired)
    #expect(reachedMs == 10 && expired.isEmpty)
    #expect(wheel.nextDueMs == 20)
    wheel.advance(to: 20, into: &expired)
    #expect(expired.entries.map(\.dueMs) == [20, 15])
  }

  @Test("a new timer goes behind an older one of its tick that still lies in a coarser slot")
  func joinsTheOlder() {
    var wheel = TimingWheel(tickMs: 1, wheelSize: 20, startMs: 0)
    var expired = ExpiredTimers()
    let older = wheel.insert(dueMs: 25)
    wheel.advance(to: 10, into: &expired)
    let newer = wheel.insert(dueMs: 25)
    #expect(wheel.location(of: older) == TimerLocation(level: 2, slot: 1))
    #expect(wheel.location(of: newer) == TimerLocation(level: 2, slot: 1))
    wheel.advance(to: 25, into: &expired)
    #expect(expired.entries.map(\.id) == [older, newer])
  }

  @Test("an older timer in a finer slot stays ahead of a newer one in a coarser slot")
  func olderBelow() {
    var wheel = TimingWheel(tickMs: 1, wheelSize: 20, startMs: 0)
    var expired = ExpiredTimers()
    wheel.advance(to: 30, into: &expired)
    let older = wheel.insert(dueMs: 410)
    _ = wheel.insert(dueMs: 500)
    let newer = wheel.insert(dueMs: 410)
    #expect(wheel.location(of: older)?.level == 2)
    #expect(wheel.location(of: newer)?.level == 3)
    wheel.advance(to: 410, into: &expired)
    #expect(expired.entries.map(\.id) == [older, newer])
  }
}
