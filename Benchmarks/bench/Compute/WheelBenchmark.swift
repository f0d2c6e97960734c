// `bench wheel`: what the timing wheel costs a timer, with due times uniformly random over a span of ticks.
//
// Measures, for each population: filling the wheel; cancelling a random timer and inserting another one (as often as
// there are timers); advancing to the end of the span in steps as long as a tick, as a server that is never idle does.
// Measured in processor time of the thread, so that other programs on the machine disturb less.
// Holds: every round checks itself: all fired, none early, ticks in order, and the sum of the due times as inserted.
// Leaves to others: the cost of the clock, of random numbers (made before the clock starts) and of what timers mean.

import SeededRandom
import TimingWheel

enum WheelBenchmark {
  static let command = Command(
    name: "wheel", summary: "insert, cancel and expiry in the timing wheel",
    options: [
      Option("wheel-size", 512, "slots of a level"),
      Option("tick-ms", 1, "length of a tick in ms"),
      Option("rounds", 3, "rounds to take the median of"),
      Option("step-ticks", 1, "ticks from one advance to the next"),
      Option("timers", 0, "timers of a single population; 0: one of a million and one of ten"),
      Option("ticks", 0, "ticks over which their due times spread; 0: 3.6 a timer"),
    ], run: run)

  private struct Options {
    let wheelSize: Int
    let tickMs: Int64
    let stepTicks: Int64
  }

  private struct Costs {
    var insertNs: [Double] = []
    var cancelInsertNs: [Double] = []
    var expireNs: [Double] = []
    var reservedBytes = 0
  }

  private static func run(_ flags: Flags) -> Report {
    let size = flags.number("wheel-size")
    guard (2...TimingWheel.wheelSizeMax).contains(size) else {
      fail("--wheel-size goes from 2 to \(TimingWheel.wheelSizeMax)")
    }
    let options = Options(
      wheelSize: size, tickMs: Int64(max(1, flags.number("tick-ms"))),
      stepTicks: Int64(max(1, flags.number("step-ticks"))))
    let rounds = max(1, flags.number("rounds"))
    let sizes = flags.number("timers") > 0 ? [flags.number("timers")] : [1_000_000, 10_000_000]
    // Half a microsecond for each timer: made, shuffled, inserted, replaced, expired.
    sayExpected(seconds: rounds * sizes.reduce(0, +) / 2_000_000)
    var report = Report(
      flags, title: "What the timing wheel costs a timer",
      meaning:
        "Nanoseconds of processor time of the thread a timer, due times uniformly random over a span; median of the rounds."
    )
    for timers in sizes {
      let ticks = flags.number("ticks") > 0 ? Int64(flags.number("ticks")) : Int64(Double(timers) * 3.6)
      var costs = Costs()
      Progress.begin("\(Figures.spaced(timers)) timers", of: rounds)
      for round in 0..<rounds {
        measure((timers, ticks), options, seed: UInt64(round) + 1, &costs)
        Progress.advance(1)
      }
      fill(&report, timers, costs)
    }
    return report
  }

  private static func fill(_ report: inout Report, _ timers: Int, _ costs: Costs) {
    let bars: [Report.Comparison.Bar] = [
      .init(name: "insert", value: Figures.median(costs.insertNs), isOurs: true),
      .init(name: "cancel and insert", value: Figures.median(costs.cancelInsertNs), isOurs: true),
      .init(name: "expire", value: Figures.median(costs.expireNs), isOurs: true),
    ]
    report.comparisons.append(
      .init(title: "\(Figures.spaced(timers)) timers", unit: "ns", isLowBetter: true, bars: bars))
    report.add("memory for one of \(Figures.spaced(timers))", Double(costs.reservedBytes) / Double(timers), "B")
  }

  private static func measure(
    _ population: (timers: Int, ticks: Int64), _ options: Options, seed: UInt64, _ costs: inout Costs
  ) {
    let plan = Plan(timers: population.timers, spanMs: population.ticks * options.tickMs, seed: seed)
    defer { plan.deallocate() }
    var wheel = TimingWheel(tickMs: options.tickMs, wheelSize: options.wheelSize, startMs: Plan.startMs)

    let beforeInsert = ProcessorTime.nowNs()
    insertAll(plan, &wheel)
    costs.insertNs.append(nsEach(plan.timers, since: beforeInsert))

    plan.shuffleIDs()
    let beforeCancel = ProcessorTime.nowNs()
    let cancelled = replaceAll(plan, &wheel)
    costs.cancelInsertNs.append(nsEach(plan.timers, since: beforeCancel))
    check(cancelled == plan.timers, "every victim waited")
    check(wheel.count == plan.timers, "as many timers as before")

    let beforeExpire = ProcessorTime.nowNs()
    let outcome = expireAll(plan, &wheel, tickMs: options.tickMs, stepMs: options.stepTicks * options.tickMs)
    costs.expireNs.append(nsEach(plan.timers, since: beforeExpire))
    check(outcome.fired == plan.timers && wheel.count == 0, "all fired: \(outcome.fired) of \(plan.timers)")
    check(outcome.early == 0, "none early: \(outcome.early)")
    check(outcome.late == 0, "none late: \(outcome.late)")
    check(outcome.dueSum == plan.finalDueSum, "the due times that came out are those that went in")
    costs.reservedBytes = wheel.reservedBytes
  }

  @inline(never)
  private static func insertAll(_ plan: Plan, _ wheel: inout TimingWheel) {
    for place in 0..<plan.timers { plan.ids[place] = wheel.insert(dueMs: plan.dues[place]) }
  }

  /// Cancels the timers in random order and inserts another for each at once; gives how many were cancelled. The IDs
  /// are shuffled beforehand: looking up whom to cancel is the owner's cost.
  @inline(never)
  private static func replaceAll(_ plan: Plan, _ wheel: inout TimingWheel) -> Int {
    var cancelled = 0
    for place in 0..<plan.timers {
      if wheel.cancel(plan.ids[place]) { cancelled += 1 }
      plan.ids[place] = wheel.insert(dueMs: plan.otherDues[place])
    }
    return cancelled
  }

  private struct Outcome {
    var fired = 0
    var early = 0
    var late = 0
    var dueSum: Int64 = 0
  }

  @inline(never)
  private static func expireAll(_ plan: Plan, _ wheel: inout TimingWheel, tickMs: Int64, stepMs: Int64) -> Outcome {
    var outcome = Outcome()
    var expired = ExpiredTimers()
    var nowMs = Plan.startMs
    let endMs = nowMs + plan.spanMs + tickMs
    while nowMs < endMs {
      let lastMs = nowMs
      nowMs = min(nowMs + stepMs, endMs)
      wheel.advance(to: nowMs, into: &expired)
      for position in 0..<expired.count {
        let dueMs = expired[position].dueMs
        outcome.dueSum &+= dueMs
        if dueMs > nowMs { outcome.early += 1 }
        if dueMs <= lastMs - tickMs { outcome.late += 1 }
      }
      outcome.fired += expired.count
      expired.removeAll()
    }
    return outcome
  }

  private static func nsEach(_ count: Int, since startNs: Int64) -> Double {
    Double(ProcessorTime.nowNs() - startNs) / Double(count)
  }

  private static func check(_ holds: Bool, _ statement: String) {
    precondition(holds, "the benchmark checked itself and failed: \(statement)")
  }
}

// MARK: - The work, made before the clock starts

extension WheelBenchmark {
  /// Due times and IDs of a round, in raw memory so that only the wheel is measured.
  private struct Plan {
    static let startMs: Int64 = 1_700_000_000_000

    let timers: Int
    let spanMs: Int64
    let dues: UnsafeMutablePointer<Int64>
    let otherDues: UnsafeMutablePointer<Int64>
    let ids: UnsafeMutablePointer<TimerID>
    /// The sum of the due times of those that are left to fire.
    let finalDueSum: Int64

    init(timers: Int, spanMs: Int64, seed: UInt64) {
      self.timers = timers
      self.spanMs = spanMs
      dues = .allocate(capacity: timers)
      otherDues = .allocate(capacity: timers)
      ids = .allocate(capacity: timers)
      ids.initialize(repeating: TimerID(index: 0, generation: 0), count: timers)
      var random = SplitMix64(seed: seed)
      var sum: Int64 = 0
      for place in 0..<timers {
        dues[place] = Self.startMs + 1 + Int64(random.next(below: UInt64(spanMs)))
        otherDues[place] = Self.startMs + 1 + Int64(random.next(below: UInt64(spanMs)))
        sum &+= otherDues[place]
      }
      finalDueSum = sum
    }

    func shuffleIDs() {
      var random = SplitMix64(seed: UInt64(timers))
      var all = UnsafeMutableBufferPointer(start: ids, count: timers)
      all.shuffle(using: &random)
    }

    func deallocate() {
      dues.deallocate()
      otherDues.deallocate()
      ids.deallocate()
    }
  }
}
