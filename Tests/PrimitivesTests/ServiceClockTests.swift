// Service time by table: what the clocks said, and what time it was.

import Primitives
import Testing

@Suite struct ServiceClockTests {
  /// Readings in ms after the start of the test; the wall clock starts at 1 000 000 ms.
  struct Reading: Sendable, CustomTestStringConvertible {
    var says: String
    /// Passed time and wall clock, one reading after the other.
    var clocks: [(bootMs: Int64, wallMs: Int64)]
    /// Service time in ns at the last reading.
    var serviceNs: Int64
    var forwardSteps = 0
    var backwardSteps = 0
    var isWaiting = false
    var testDescription: String { says }
  }

  static let ms: Int64 = 1_000_000
  static let wall: Int64 = 1_000_000

  static let table: [Reading] = [
    Reading(says: "clocks that agree", clocks: [(0, 0), (1500, 1500)], serviceNs: 1500 * ms),
    Reading(says: "wall 100 ms ahead: 500 ppm of 10 s", clocks: [(0, 100), (10000, 10100)], serviceNs: 10005 * ms),
    Reading(says: "wall 100 ms behind: 500 ppm of 10 s", clocks: [(0, -100), (10000, 9900)], serviceNs: 9995 * ms),
    Reading(says: "a small difference is made up, not overdone", clocks: [(10000, 10001)], serviceNs: 10001 * ms),
    Reading(says: "exactly a step ahead is slewed", clocks: [(0, 1000)], serviceNs: 0),
    Reading(says: "more than a step ahead is followed", clocks: [(5, 1006)], serviceNs: 1006 * ms, forwardSteps: 1),
    Reading(
      says: "more than a step behind stands still", clocks: [(5, 5), (10, -2000), (1010, -1000)], serviceNs: 5 * ms,
      backwardSteps: 1, isWaiting: true),
    Reading(
      says: "and goes on when the wall clock has caught up", clocks: [(10, -2000), (2110, 100)], serviceNs: 100 * ms,
      backwardSteps: 1),
    Reading(
      says: "set back and set right again", clocks: [(10, -9000), (20, 20), (30, 30)], serviceNs: 30 * ms,
      backwardSteps: 1),
    Reading(
      says: "set back and then far ahead", clocks: [(10, -9000), (20, 90000)], serviceNs: 90000 * ms, forwardSteps: 1,
      backwardSteps: 1),
    Reading(says: "a boot clock that goes back passes no time", clocks: [(100, 100), (50, 100)], serviceNs: 100 * ms),
    Reading(says: "a day of suspension", clocks: [(86_400_000, 86_400_000)], serviceNs: 86_400_000 * ms),
  ]

  @Test("service time by table", arguments: table)
  func byTable(_ reading: Reading) {
    var clock = ServiceClock(bootNs: 7, wallNs: Self.wall * Self.ms, notBeforeMs: 0, stepMs: 1000)
    var last = clock.serviceNs
    for (bootMs, wallMs) in reading.clocks {
      let now = clock.now(bootNs: 7 + bootMs * Self.ms, wallNs: (Self.wall + wallMs) * Self.ms)
      #expect(now >= last)
      last = now
    }
    #expect(last - Self.wall * Self.ms == reading.serviceNs)
    #expect(clock.forwardSteps == reading.forwardSteps && clock.backwardSteps == reading.backwardSteps)
    #expect(clock.isWaiting == reading.isWaiting)
  }

  @Test("many short readings slew as much as one long one")
  func shortReadings() {
    var clock = ServiceClock(bootNs: 0, wallNs: 0, notBeforeMs: 0, stepMs: 1000)
    for step in Int64(1)...20_000 { _ = clock.now(bootNs: step * 100, wallNs: step * 100 + 500 * Self.ms) }
    #expect(clock.serviceNs == 2_000_000 + 1000)
  }

  @Test("it starts at the watermark when the wall clock is behind, and waits there")
  func notBefore() {
    var clock = ServiceClock(bootNs: 0, wallNs: 10_000 * Self.ms, notBeforeMs: 25_000, stepMs: 1000)
    #expect(clock.serviceNs == 25_000 * Self.ms && clock.aheadAtStartNs == 15_000 * Self.ms && clock.isWaiting)
    #expect(clock.now(bootNs: 14_000 * Self.ms, wallNs: 24_000 * Self.ms) == 25_000 * Self.ms)
    #expect(clock.now(bootNs: 16_000 * Self.ms, wallNs: 26_000 * Self.ms) == 26_000 * Self.ms)
    #expect(ServiceClock(bootNs: 0, wallNs: 5, notBeforeMs: .max).serviceNs == .max)
  }
}
