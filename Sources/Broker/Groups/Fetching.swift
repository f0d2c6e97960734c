// Fetching: deliveries that a consumer asks for, instead of getting them pushed. A fetch that finds nothing may wait; one
// that needs the disk always waits.

import Primitives
import TimingWheel

/// What a fetch got.
public enum FetchReply {
  /// Messages, perhaps none. Good until the next turn.
  case messages([Delivery])
  /// `Notice.fetched` with the fetch's token will bring them. `forDisk`: the fetch waits for the disk alone, so its reply
  /// comes in the order of replies.
  case later(forDisk: Bool)
}

extension Broker {
  /// Takes up to `limit` messages for a group now, or waits up to `waitMs` for the first.
  public func fetch(
    _ consumer: Consumer, limit: Int, waitMs: Int64, token: UInt64
  ) throws(BrokerStop) -> Answer<FetchReply> {
    try requireWorking()
    guard let group = consumer.group else { preconditionFailure("a fetch without a group") }
    consumer.begin(Fetch(token: token, limit: limit, bytesMax: settings.fetchBytesMax))
    // Deliveries to others in this turn must not use up the bytes of this reply.
    turn.deliveryBytesRemaining = max(turn.deliveryBytesRemaining, settings.fetchBytesMax)
    groups.dispatch(group, answering: false)
    // Other fetches of the group may have got messages, too. They are answered at the end of the turn.
    groups.markDirty(group)
    guard let fetch = consumer.fetches.first(where: { $0.token == token }) else {
      preconditionFailure("a fetch was answered twice")
    }
    if !fetch.collected.isEmpty || (waitMs == 0 && !group.waitsForDisk) {
      _ = consumer.endFetch(token: token)
      let shown = gate(of: fetch.collected, to: consumer)
      // A fetch from a topic shows an attempt only when its record is settled, so that no crash can undo the attempt.
      return Answer(.messages(fetch.collected), gate: consumer.topic.isQueue ? shown : max(shown, gate))
    }
    var timer = TimerID.none
    if waitMs > 0 {
      let target = TimerTarget(kind: .fetch, owner: consumer.number, value: token)
      timer = timers.start(dueMs: turn.nowRoundedUpMs + waitMs, target)
    }
    consumer.wait(token: token, timer: timer, endsWhenLoaded: waitMs == 0)
    return answer(.later(forDisk: waitMs == 0))
  }

  /// What must be settled before these deliveries to one consumer may be shown: the record that appended their topic's newest
  /// message and, where a delivery is its own acknowledgement, the record of its end.
  public func gate(of deliveries: [Delivery], to consumer: Consumer) -> Gate {
    if deliveries.contains(where: \.waitsForItsEnd) { return .endOfTurn }
    return deliveries.isEmpty ? gate : Gate(consumer.topic.restsOn)
  }
}

extension Groups {
  /// Answers the fetches of a group that have something, or that only waited for the disk.
  func answerFetches(_ group: Group) {
    for consumer in group.consumers where consumer.kind == .fetcher {
      let answered = consumer.endFetches { !$0.collected.isEmpty || ($0.endsWhenLoaded && !group.waitsForDisk) }
      for fetch in answered {
        timers.stop(fetch.timer)
        turn.notify(.fetched(consumer, token: fetch.token, fetch.collected))
      }
    }
  }

  func fetchTimerFired(consumer number: UInt32, token: UInt64) {
    guard let consumer = self[consumer: number], let fetch = consumer.endFetch(token: token) else { return }
    turn.notify(.fetched(consumer, token: token, fetch.collected))
  }
}
