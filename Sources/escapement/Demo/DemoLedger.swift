// The demo's book: what was asked for, what came, and whether the two agree. It also prints the timeline.
//
// Holds: a message delivered twice at one offset is one message (delivery is at least once; the offset tells); two
// offsets for one id would be two messages, and wrong.

import EscapementClient
import Foundation
import Synchronization

final class DemoLedger: Sendable {
  /// One delayed message's story.
  private struct Entry {
    var dueMs: Int64
    /// Its time was changed, perhaps to one that is past.
    var isMoved = false
    var cancelOutcome: CancelOutcome?
    var offsets: Set<UInt64> = []
    var deliveries = 0

    /// A cancelled message must not come, any other one must.
    var isAwaited: Bool { cancelOutcome != .cancelled && offsets.isEmpty }
  }

  private struct Book {
    var timeouts: [String: Entry] = [:]
    var reviews: [String: Entry] = [:]
    /// How late messages came, in ms after they were due: in normal running, and those due around an outage.
    var latenessMs: [Int64] = []
    var outageLatenessMs: [Int64] = []
    /// Times without a server; the last one may go on.
    var outages: [(what: String, fromMs: Int64, toMs: Int64)] = []
    var reconnects = 0
    var faults: [String] = []
  }

  private let orders: Int
  private let patienceMs: Int64
  private let startedMs = DemoLedger.nowMs
  private let book = Mutex(Book())

  /// - Parameters:
  ///   - orders: how many orders there will be.
  ///   - patienceMs: how long awaited messages may take once everybody has acted.
  init(orders: Int, patienceMs: Int64) {
    self.orders = orders
    self.patienceMs = patienceMs
  }

  /// The wall clock in Unix ms, rounded down, so that "not before" is a strict test.
  static var nowMs: Int64 { Int64((Date().timeIntervalSince1970 * 1_000).rounded(.down)) }

  /// A line of the timeline.
  func say(_ who: String, _ what: String) {
    let seconds = String(format: "%6.3f s", Double(Self.nowMs - startedMs) / 1_000)
    Output.line("\(seconds)  \(who.padded(to: 11)) \(what)")
  }

  func note(_ event: ConnectionEvent) {
    switch event {
    case .connected(let again) where again:
      book.withLock { $0.reconnects += 1 }
      say("client", "connected again; subscriptions renewed, open requests repeated")
    case .lost(let reason): say("client", "connection lost: \(reason)")
    case .gaveUp(let reason): say("client", "gave up: \(reason)")
    // Of a leader that has just ceased to be one; the message comes again.
    case .refusedUnanswered(.notLeader, _): break
    case .refusedUnanswered(let code, let message):
      book.withLock { $0.faults.append("an acknowledgement was refused: \(code.rawValue) \(message)") }
    case .truncated(let topic, _, let from, let to):
      book.withLock { $0.faults.append("messages \(from)..<\(to) of \(topic) were lost to retention") }
    case .ended(let topic, _, let reason): book.withLock { $0.faults.append("\(topic) ended: \(reason)") }
    case .connected, .reconnecting: break
    }
  }

  /// From now on nobody answers.
  func outageBegins() { book.withLock { $0.outages.append((what: "", fromMs: Self.nowMs, toMs: .max)) } }

  /// Somebody answers again; gives how long nobody did.
  @discardableResult
  func outageEnds(_ what: String) -> Int64 {
    book.withLock { book in
      let last = book.outages.count - 1
      book.outages[last].what = what
      book.outages[last].toMs = Self.nowMs
      return book.outages[last].toMs - book.outages[last].fromMs
    }
  }

  func expectTimeout(_ order: String, dueMs: Int64) {
    book.withLock { $0.timeouts[order, default: Entry(dueMs: dueMs)].dueMs = dueMs }
  }

  func expectReview(_ order: String, dueMs: Int64) {
    book.withLock { $0.reviews[order, default: Entry(dueMs: dueMs)].dueMs = dueMs }
  }

  func extendTimeout(_ order: String, dueMs: Int64, _ outcome: RescheduleOutcome) {
    book.withLock { book in
      if outcome == .rescheduled(deliverAtMs: dueMs) {
        book.timeouts[order]?.dueMs = dueMs
        book.timeouts[order]?.isMoved = true
      } else {
        book.faults.append("\(order): the time-out could not be moved: \(outcome)")
      }
    }
  }

  func cancelTimeout(_ order: String, _ outcome: CancelOutcome) {
    book.withLock { $0.timeouts[order]?.cancelOutcome = outcome }
  }

  func cancelReview(_ order: String, _ outcome: CancelOutcome) {
    book.withLock { $0.reviews[order]?.cancelOutcome = outcome }
  }

  func receiveTimeout(_ order: String, _ message: Delivery) {
    let late = receive(order, message, \.timeouts)
    say(order, "time-out came, \(late): the order is cancelled")
  }

  func receiveReview(_ order: String, _ message: Delivery) {
    let late = receive(order, message, \.reviews)
    say(order, "automatic review came, \(late): five stars")
  }

  private func receive(
    _ order: String, _ message: Delivery, _ topic: WritableKeyPath<Book, [String: Entry]> & Sendable
  ) -> String {
    let nowMs = Self.nowMs
    let lateMs = nowMs - message.deliverAtMs
    return book.withLock { book in
      // The message may come before the reply that says when it is due.
      book[keyPath: topic][order, default: Entry(dueMs: message.deliverAtMs)].deliveries += 1
      let isNew = book[keyPath: topic][order]?.offsets.insert(message.offset).inserted == true
      if lateMs < 0 || message.releasedAtMs < message.deliverAtMs {
        book.faults.append("\(order): came \(-lateMs) ms early")
      }
      if isNew {
        let isInOutage = book.outages.contains {
          message.deliverAtMs >= $0.fromMs - 50 && message.deliverAtMs <= $0.toMs
        }
        if isInOutage || (message.attempt > 1) {
          book.outageLatenessMs.append(lateMs)
        } else {
          book.latenessMs.append(lateMs)
        }
      }
      return "\(lateMs) ms late (released after \(message.releasedAtMs - message.deliverAtMs) ms)"
        + (message.attempt > 1 ? ", delivery \(message.attempt)" : "")
    }
  }

  /// Returns when every awaited message has come, or patience is at its end; the check tells which.
  func waitForMessages() async throws {
    let untilMs = Self.nowMs + patienceMs
    while Self.nowMs < untilMs {
      let isAwaiting = book.withLock { book in
        book.timeouts.values.contains { $0.isAwaited } || book.reviews.values.contains { $0.isAwaited }
      }
      if !isAwaiting { return }
      try await Task.sleep(for: .milliseconds(20))
    }
  }

  /// Prints what happened and whether it was as promised; gives whether it was.
  func judge(pendingAtEnd: Int64) -> Bool {
    let faults = faults(pendingAtEnd: pendingAtEnd)
    print(summary)
    for fault in faults { print("WRONG: \(fault)") }
    print(faults.isEmpty ? "\nEvery promise was kept." : "\n\(faults.count) promises were broken.")
    return faults.isEmpty
  }

  /// Everything that is not as promised.
  private func faults(pendingAtEnd: Int64) -> [String] {
    book.withLock { book in
      var faults = book.faults
      if pendingAtEnd != 0 { faults.append("\(pendingAtEnd) messages are still pending at the end") }
      if book.timeouts.count != orders {
        faults.append("\(book.timeouts.count) orders have a time-out, not \(orders)")
      }
      for (what, entries) in [("time-out", book.timeouts), ("review", book.reviews)] {
        for (order, entry) in entries.sorted(by: { $0.key < $1.key }) {
          faults += Self.faults(entry).map { "\(order): the \(what) \($0)" }
        }
        faults += Self.disorder(entries).map { "\($0): the \(what) came out of turn" }
      }
      let paid = book.timeouts.filter { $0.value.cancelOutcome == .cancelled }.keys
      for order in paid.sorted() where book.reviews[order] == nil {
        faults.append("\(order): paid, but no review was planned")
      }
      return faults
    }
  }

  /// Orders whose message stands in its topic behind one that was due later.
  private static func disorder(_ entries: [String: Entry]) -> [String] {
    let inTopic = entries.filter { $0.value.offsets.count == 1 && !$0.value.isMoved }
      .sorted { $0.value.offsets.first! < $1.value.offsets.first! }
    return zip(inTopic, inTopic.dropFirst()).filter { $0.value.dueMs > $1.value.dueMs }.map(\.1.key)
  }

  private static func faults(_ entry: Entry) -> [String] {
    switch (entry.cancelOutcome, entry.offsets.count) {
    case (.cancelled, 0), (nil, 1), (.released, 1): []
    case (.cancelled, _): ["was cancelled and came nevertheless"]
    case (.unknown, _): ["was unknown to the server when it was cancelled"]
    case (_, 0): ["never came"]
    case (_, let count): ["came \(count) times"]
    }
  }

  /// A table of what happened.
  private var summary: String {
    book.withLock { book in
      func row(_ what: String, _ entries: [String: Entry]) -> [String] {
        let all = entries.values
        return [
          what, "\(all.count)", "\(all.filter { $0.cancelOutcome == .cancelled }.count)",
          "\(all.filter { !$0.offsets.isEmpty }.count)", "\(all.filter { $0.cancelOutcome == .released }.count)",
          "\(all.reduce(0) { $0 + max(0, $1.deliveries - 1) })",
        ]
      }
      func span(_ values: [Int64]) -> [String] {
        let sorted = values.sorted()
        guard let first = sorted.first, let last = sorted.last else { return ["0", "", "", ""] }
        return ["\(sorted.count)", "\(first)", "\(sorted[sorted.count / 2])", "\(last)"]
      }
      return "\n"
        + Output.table(
          ["", "scheduled", "cancelled", "came", "won the race", "came again"],
          [row("order time-outs", book.timeouts), row("automatic reviews", book.reviews)])
        + "\n\n"
        + Output.table(
          ["lateness in ms", "messages", "least", "median", "most"],
          [["in normal running"] + span(book.latenessMs), ["due in an outage"] + span(book.outageLatenessMs)])
        + "\n\n" + book.outages.map { "\($0.what) for \($0.toMs &- $0.fromMs) ms, " }.joined()
        + "client reconnected \(book.reconnects) time(s)"
    }
  }
}
