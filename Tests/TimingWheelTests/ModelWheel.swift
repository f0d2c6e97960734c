// The dumb model: a list of timers in the order of insertion, sorted whenever something is asked.
//
// Holds: what TimingWheel promises, in the shortest words: a timer belongs to a tick, ticks leave in order, timers of a
// tick in the order of insertion.

import TimingWheel

struct ModelWheel {
  struct Timer: Equatable {
    let id: TimerID
    let dueMs: Int64
    /// When it leaves: the due time rounded up to a tick, or the current time of its insertion when that is later.
    let fireMs: Int64
    let order: Int
  }

  let tickMs: Int64
  var nowMs: Int64
  var timers: [Timer] = []
  private var inserted = 0

  init(tickMs: Int64, startMs: Int64) {
    self.tickMs = tickMs
    nowMs = startMs - startMs % tickMs
  }

  mutating func insert(_ id: TimerID, dueMs: Int64) {
    let remainder = dueMs % tickMs
    let roundedMs = remainder > 0 ? dueMs - remainder + tickMs : dueMs
    timers.append(Timer(id: id, dueMs: dueMs, fireMs: max(roundedMs, nowMs), order: inserted))
    inserted += 1
  }

  mutating func cancel(_ id: TimerID) -> Bool {
    guard let place = timers.firstIndex(where: { $0.id == id }) else { return false }
    timers.remove(at: place)
    return true
  }

  var nextDueMs: Int64? { timers.map(\.fireMs).min() }

  /// What leaves by `targetMs`, in order.
  func due(by targetMs: Int64) -> [Timer] {
    let targetMs = targetMs - targetMs % tickMs
    guard targetMs >= nowMs else { return [] }
    return timers.filter { $0.fireMs <= targetMs }.sorted { ($0.fireMs, $0.order) < ($1.fireMs, $1.order) }
  }

  /// Advances and gives what leaves, in order; the first `count` of it when a limit stops it there.
  mutating func advance(to targetMs: Int64, stoppingBehind count: Int? = nil) -> [Timer] {
    let due = due(by: targetMs)
    let gone = Array(due.prefix(count ?? .max))
    let reachedMs = count == nil ? targetMs - targetMs % tickMs : gone.last?.fireMs ?? nowMs
    nowMs = max(nowMs, reachedMs)
    let orders = Set(gone.map(\.order))
    timers.removeAll { orders.contains($0.order) }
    return gone
  }
}

extension ExpiredTimers {
  /// The entries as an array, for comparing.
  var entries: [TimerEntry] { (0..<count).map { self[$0] } }
}
