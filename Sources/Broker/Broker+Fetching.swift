// Fetch: the same deliveries, asked for. A fetch that finds nothing may wait; one that needs the disk always does.

import Primitives
import TimingWheel

/// What a fetch got.
public enum FetchReply {
  /// Messages, perhaps none. Good until the next turn.
  case messages([Delivery])
  /// `Notice.fetched` with the fetch's token will bring them. `forDisk`: nothing was waited for but the disk, so the reply
  /// keeps its place in the order of replies.
  case later(forDisk: Bool)
}

extension Broker {
  /// Takes up to `limit` messages for a group now, or waits up to `waitMs` for the first.
  public func fetch(
    _ consumer: Consumer, limit: Int, waitMs: Int64, token: UInt64
  ) throws(BrokerStop) -> Answer<FetchReply> {
    try requireWorking()
    guard let group = consumer.group else { preconditionFailure("a fetch without a group") }
    consumer.fetches.append(
      Fetch(token: token, limit: limit, bytesLeft: settings.fetchBytesMax, endsWhenLoaded: true))
    // What others were given in this turn must not leave the reply empty.
    turnBytesLeft = max(turnBytesLeft, settings.fetchBytesMax)
    dispatch(group, answering: false)
    // Others of the group may have got something too: the end of the turn answers them.
    markDirty(group)
    guard let place = consumer.fetches.firstIndex(where: { $0.token == token }) else {
      preconditionFailure("a fetch was answered twice")
    }
    let collected = consumer.fetches[place].collected
    if !collected.isEmpty || (waitMs == 0 && !group.waitsForDisk) {
      consumer.fetches.remove(at: place)
      let shown = gate(of: collected, to: consumer)
      // Whoever fetches from a topic is told of an attempt only when that attempt counts, also after a crash.
      return Answer(.messages(collected), gate: consumer.topic.isQueue ? shown : max(shown, gate))
    }
    consumer.fetches[place].endsWhenLoaded = waitMs == 0
    if waitMs > 0 {
      let target = TimerTarget(kind: .fetch, owner: consumer.number, value: token)
      consumer.fetches[place].timer = startTimer(dueMs: nowRoundedUpMs + waitMs, target)
    }
    return answer(.later(forDisk: waitMs == 0))
  }

  /// What must be durable before these deliveries to one consumer may be shown: that their topic holds them and, where a
  /// delivery is its own acknowledgement, that it is recorded.
  public func gate(of deliveries: [Delivery], to consumer: Consumer) -> Gate {
    if deliveries.contains(where: \.waitsForItsEnd) { return .endOfTurn }
    return deliveries.isEmpty ? gate : Gate(consumer.topic.appendSequence)
  }

  /// Answers the fetches of a group that have something, or that only waited for the disk.
  func answerFetches(_ group: Group) {
    for consumer in group.consumers where consumer.kind == .fetcher {
      consumer.fetches.removeAll { fetch in
        guard !fetch.collected.isEmpty || (fetch.endsWhenLoaded && !group.waitsForDisk) else { return false }
        stopTimer(fetch.timer)
        effects.append(.notice(.fetched(consumer, token: fetch.token, fetch.collected)))
        return true
      }
    }
  }

  func fetchTimerFired(consumer number: UInt32, token: UInt64) {
    guard let consumer = consumers[Int(number)],
      let place = consumer.fetches.firstIndex(where: { $0.token == token })
    else { return }
    let fetch = consumer.fetches.remove(at: place)
    effects.append(.notice(.fetched(consumer, token: token, fetch.collected)))
  }
}
