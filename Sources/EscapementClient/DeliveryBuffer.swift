// What stands between the reading thread and the loop that takes messages: a queue with waiting takers.
//
// Holds: messages leave in the order they came; those of a lost connection are dropped, because the server sends them
// again; after `finish` the rest is still handed out, then the end (or the error) comes for ever.
// Leaves to others: how many may be under way (the server, by the subscription's credit).

import Synchronization

final class DeliveryBuffer: Sendable {
  private typealias Taker = CheckedContinuation<Result<Delivery?, EscapementError>, Never>

  private struct State {
    var messages: [Delivery] = []
    var head = 0
    var end: Result<Void, EscapementError>?
    var takers: [(number: Int, taker: Taker)] = []
    var nextTaker = 0

    var count: Int { messages.count - head }

    mutating func removeFirst() -> Delivery {
      defer {
        head += 1
        if head == messages.count || head > 1024 {
          messages.removeFirst(head)
          head = 0
        }
      }
      return messages[head]
    }
  }

  private let countMax: Int
  private let state = Mutex(State())

  init(countMax: Int) { self.countMax = countMax }

  func append(_ delivery: Delivery) {
    let taker: Taker? = state.withLock { state in
      guard state.end == nil else { return nil }
      if !state.takers.isEmpty { return state.takers.removeFirst().taker }
      if state.count >= countMax {
        state.end = .failure(.fellBehind(limit: countMax))
      } else {
        state.messages.append(delivery)
      }
      return nil
    }
    taker?.resume(returning: .success(delivery))
  }

  /// Forgets what has not been taken.
  func dropUntaken() {
    state.withLock { state in
      guard state.end == nil else { return }
      state.messages = []
      state.head = 0
    }
  }

  func finish(_ end: Result<Void, EscapementError>) {
    let takers = state.withLock { state in
      guard state.end == nil else { return [(number: Int, taker: Taker)]() }
      state.end = end
      defer { state.takers = [] }
      return state.takers
    }
    for entry in takers { entry.taker.resume(returning: end.map { nil }) }
  }

  /// The next message; nil at the end or when the task is cancelled.
  func next() async throws(EscapementError) -> Delivery? {
    let number = state.withLock { state in
      state.nextTaker += 1
      return state.nextTaker
    }
    let result: Result<Delivery?, EscapementError> = await withTaskCancellationHandler {
      await withCheckedContinuation { taker in
        let ready: Result<Delivery?, EscapementError>? = state.withLock { state in
          if Task.isCancelled { return .success(nil) }
          if state.count > 0 { return .success(state.removeFirst()) }
          if let end = state.end { return end.map { nil } }
          state.takers.append((number, taker))
          return nil
        }
        if let ready { taker.resume(returning: ready) }
      }
    } onCancel: {
      let taker: Taker? = state.withLock { state in
        guard let index = state.takers.firstIndex(where: { $0.number == number }) else { return nil }
        return state.takers.remove(at: index).taker
      }
      taker?.resume(returning: .success(nil))
    }
    return try result.get()
  }
}
