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
  private struct Options {
    var wheelSize = 512
    var tickMs: Int64 = 1
    var rounds = 3
    var stepTicks: Int64 = 1
    var populations: [(timers: Int, ticks: Int64)] = [(1_000_000, 3_600_000), (10_000_000, 36_000_000)]
  }

  private struct Figures {
    var insertNs: [Double] = []
    var cancelInsertNs: [Double] = []
    var expireNs: [Double] = []
    var reservedBytes = 0
  }

  static func run(arguments: [String]) {
    guard let options = parse(arguments) else { return print(help) }
    // Half a microsecond for each timer: made, shuffled, inserted, replaced, expired.
    sayExpected(seconds: options.rounds * options.populations.reduce(0) { $0 + $1.timers } / 2_000_000)
    say("wheelSize \(options.wheelSize), tick \(options.tickMs) ms, median of \(options.rounds) rounds, ns a timer")
    say(row(["timers", "ticks", "insert", "cancel+insert", "expire", "bytes/timer"]))
    for population in options.populations {
      var figures = Figures()
      for round in 0..<options.rounds { measure(population, options, seed: UInt64(round) + 1, &figures) }
      say(
        row([
          "\(population.timers)", "\(population.ticks)", decimal(median(figures.insertNs)),
          decimal(median(figures.cancelInsertNs)), decimal(median(figures.expireNs)),
          decimal(Double(figures.reservedBytes) / Double(population.timers)),
        ]))
    }
  }

  private static func measure(
    _ population: (timers: Int, ticks: Int64), _ options: Options, seed: UInt64, _ figures: inout Figures
  ) {
    let plan = Plan(timers: population.timers, spanMs: population.ticks * options.tickMs, seed: seed)
    defer { plan.deallocate() }
    var wheel = TimingWheel(tickMs: options.tickMs, wheelSize: options.wheelSize, startMs: Plan.startMs)

    let beforeInsert = ProcessorTime.nowNs()
    insertAll(plan, &wheel)
    figures.insertNs.append(nsEach(plan.timers, since: beforeInsert))

    plan.shuffleIDs()
    let beforeCancel = ProcessorTime.nowNs()
    let cancelled = replaceAll(plan, &wheel)
    figures.cancelInsertNs.append(nsEach(plan.timers, since: beforeCancel))
    check(cancelled == plan.timers, "every victim waited")
    check(wheel.count == plan.timers, "as many timers as before")

    let beforeExpire = ProcessorTime.nowNs()
    let outcome = expireAll(plan, &wheel, tickMs: options.tickMs, stepMs: options.stepTicks * options.tickMs)
    figures.expireNs.append(nsEach(plan.timers, since: beforeExpire))
    check(outcome.fired == plan.timers && wheel.count == 0, "all fired: \(outcome.fired) of \(plan.timers)")
    check(outcome.early == 0, "none early: \(outcome.early)")
    check(outcome.late == 0, "none late: \(outcome.late)")
    check(outcome.dueSum == plan.finalDueSum, "the due times that came out are those that went in")
    figures.reservedBytes = wheel.reservedBytes
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

// MARK: - Flags and the table

extension WheelBenchmark {
  private static let help = """
    bench wheel [--wheel-size N] [--tick-ms N] [--rounds N] [--step-ticks N] [--timers N --ticks N]

      --wheel-size N   slots of a level (512)
      --tick-ms N      length of a tick in ms (1)
      --rounds N       rounds to take the median of (3)
      --step-ticks N   ticks from one advance to the next (1)
      --timers N       timers of a single population, instead of one and ten million
      --ticks N        ticks over which their due times spread (3.6 a timer)
    """

  /// The options that `arguments` ask for; nil when they ask for help or cannot be read.
  private static func parse(_ arguments: [String]) -> Options? {
    var options = Options()
    var timers: Int?
    var ticks: Int64?
    guard arguments.count % 2 == 0 else { return nil }
    for place in stride(from: 0, to: arguments.count, by: 2) {
      guard let value = Int(arguments[place + 1]), value > 0 else { return nil }
      switch arguments[place] {
      case "--wheel-size" where (2...TimingWheel.wheelSizeMax).contains(value): options.wheelSize = value
      case "--tick-ms": options.tickMs = Int64(value)
      case "--rounds": options.rounds = value
      case "--step-ticks": options.stepTicks = Int64(value)
      case "--timers": timers = value
      case "--ticks": ticks = Int64(value)
      default: return nil
      }
    }
    if timers != nil || ticks != nil {
      let timers = timers ?? 1_000_000
      options.populations = [(timers, ticks ?? Int64(Double(timers) * 3.6))]
    }
    return options
  }

  private static func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

  private static func decimal(_ value: Double) -> String {
    let tenths = Int((value * 10).rounded())
    return "\(tenths / 10).\(tenths % 10)"
  }

  private static func row(_ columns: [String]) -> String {
    columns.map { String(repeating: " ", count: max(0, 14 - $0.count)) + $0 }.joined()
  }
}
