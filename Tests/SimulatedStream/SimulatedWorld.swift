// Simulated time with what happens in it: a stream's messages on their way, and what a test plans.
//
// Holds: things happen at their times, those of one time in the order in which they were planned; nothing happens by itself.
// Leaves to others: what happens (TrueStream), who moves the time (the test).

import SeededRandom

/// Time, and a list of what happens when. One thread's own.
public final class SimulatedWorld: @unchecked Sendable {
  /// Time since the beginning of the world.
  public private(set) var nowNs: Int64 = 0
  /// Everything that is drawn comes from here.
  public var random: SplitMix64
  private var planned: [(atNs: Int64, order: UInt64, what: () -> Void)] = []
  private var order: UInt64 = 0

  /// A world at time 0.
  public init(seed: UInt64) { random = SplitMix64(seed: seed) }

  /// Plans something.
  public func after(ns: Int64, _ what: @escaping () -> Void) {
    order += 1
    let new = (atNs: nowNs + max(0, ns), order: order, what: what)
    // Behind all of the same time or earlier; most things are planned for late times.
    var place = planned.count
    while place > 0, planned[place - 1].atNs > new.atNs { place -= 1 }
    planned.insert(new, at: place)
  }

  /// When the next thing happens; nil when nothing is planned.
  public var nextNs: Int64? { planned.first?.atNs }

  /// Moves the time on, and lets happen what was planned until then.
  public func advance(to ns: Int64) {
    while let next = planned.first, next.atNs <= ns {
      planned.removeFirst()
      nowNs = max(nowNs, next.atNs)
      next.what()
    }
    nowNs = max(nowNs, ns)
  }

  /// True one time in so many.
  public func isDrawn(oneIn count: Int) -> Bool { count > 0 && Int.random(in: 0..<count, using: &random) == 0 }

  /// A drawn time, in ns.
  public func draw(_ range: ClosedRange<Int64>) -> Int64 { .random(in: range, using: &random) }
}
