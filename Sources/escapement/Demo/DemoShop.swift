// The demo's shop: what becomes of each order, and the two consumers that act on delayed messages.
//
// 3 s stand for the thirty minutes an order may stay unpaid, 2 s for the ten hours after which a review is written.

import EscapementClient

struct DemoShop: Sendable {
  static let timeoutTopic = "order-timeouts"
  static let reviewTopic = "reviews"

  private static let timeoutMs: Int64 = 3_000
  private static let reviewMs: Int64 = 2_000
  private static let deliveryMs: Int64 = 300
  // A message that should not come is given this long to come after all.
  private static let lingerMs: Int64 = 400

  let client: EscapementClient
  let ledger: DemoLedger
  /// The numbers of the orders, and how far apart they are placed.
  let orders: Range<Int>
  let orderEveryMs: Int64

  /// How a buyer behaves; by the order's number, so that every run tells the same story.
  enum Buyer: Equatable {
    case neverPays
    /// Pays after so many ms.
    case pays(afterMs: Int64)
    /// Asks for more time, and pays when the first time-out would have passed.
    case asksForTime

    init(_ number: Int) {
      switch number {
      case 10: self = .asksForTime
      case _ where number % 4 == 3: self = .neverPays
      // Just when the time-out is due: who wins is the server's to say, and it must say the truth.
      case _ where number % 10 == 6: self = .pays(afterMs: timeoutMs)
      default: self = .pays(afterMs: 300 + Int64(number * 37 % 13) * 150)
      }
    }
  }

  static func name(_ number: Int) -> String { "order-\(1001 + number)" }

  /// Plays all orders, with `director` beside them, and waits for every message.
  func play(beside director: @escaping @Sendable () async throws -> Void) async throws {
    let timeouts = try await client.subscribe(topic: Self.timeoutTopic, group: "shop")
    let reviews = try await client.subscribe(topic: Self.reviewTopic, group: "shop")
    try await withThrowingTaskGroup(of: Void.self) { consumers in
      consumers.addTask { try await cancelUnpaid(timeouts) }
      consumers.addTask { try await writeReviews(reviews) }
      try await withThrowingTaskGroup(of: Void.self) { actors in
        for number in orders { actors.addTask { try await live(number) } }
        actors.addTask { try await director() }
        try await actors.waitForAll()
      }
      try await ledger.waitForMessages()
      try await sleep(Self.lingerMs)
      consumers.cancelAll()
      try await consumers.waitForAll()
    }
  }

  /// One order from its placing to its end.
  private func live(_ number: Int) async throws {
    let order = Self.name(number)
    try await sleep(Int64(number) * orderEveryMs)
    let receipt = try await client.schedule(
      topic: Self.timeoutTopic, body: .value(["order": order]), id: order, when: .after(ms: Self.timeoutMs))
    ledger.say(order, "placed; time-out in \(Self.timeoutMs) ms")
    ledger.expectTimeout(order, dueMs: receipt.deliverAtMs)
    switch Buyer(number) {
    case .neverPays: break
    case .pays(let afterMs):
      try await sleep(afterMs)
      try await pay(order, number)
    case .asksForTime:
      try await sleep(1_000)
      let dueMs = receipt.deliverAtMs + 1_500
      let outcome = try await client.reschedule(topic: Self.timeoutTopic, id: order, when: .atMs(dueMs))
      ledger.say(order, "asks for more time; time-out moved by 1500 ms")
      ledger.extendTimeout(order, dueMs: dueMs, outcome)
      try await sleep(2_800)
      try await pay(order, number)
    }
  }

  private func pay(_ order: String, _ number: Int) async throws {
    let outcome = try await client.cancel(topic: Self.timeoutTopic, id: order)
    ledger.cancelTimeout(order, outcome)
    guard outcome == .cancelled else {
      return ledger.say(order, "paid too late, the time-out was \(outcome.rawValue); money back")
    }
    ledger.say(order, "paid; time-out cancelled")
    try await sleep(Self.deliveryMs)
    let receipt = try await client.schedule(
      topic: Self.reviewTopic, body: .value(["order": order, "stars": "5"]), id: order,
      when: .after(ms: Self.reviewMs))
    ledger.say(order, "delivered; automatic review in \(Self.reviewMs) ms")
    ledger.expectReview(order, dueMs: receipt.deliverAtMs)
    guard number % 3 == 0 else { return }
    try await sleep(1_000)
    let reviewOutcome = try await client.cancel(topic: Self.reviewTopic, id: order)
    ledger.cancelReview(order, reviewOutcome)
    ledger.say(order, "the buyer wrote a review; automatic one: \(reviewOutcome.rawValue)")
  }

  /// Cancels orders whose time-out comes.
  private func cancelUnpaid(_ messages: Subscription) async throws {
    for try await message in messages {
      let order = try message.decode([String: String].self)["order"] ?? "?"
      ledger.receiveTimeout(order, message)
      message.ack()
    }
  }

  /// Writes the reviews that buyers did not.
  private func writeReviews(_ messages: Subscription) async throws {
    for try await message in messages {
      let order = try message.decode([String: String].self)["order"] ?? "?"
      ledger.receiveReview(order, message)
      message.ack()
    }
  }

  private func sleep(_ ms: Int64) async throws { try await Task.sleep(for: .milliseconds(ms)) }
}
