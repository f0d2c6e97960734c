// What ending in a queue does to a message that becomes a dead letter: `x-death` and its fellows, exactly as RabbitMQ writes them.

/// One death of a message.
struct Death {
  let queue: Text
  let reason: Text
  let timeS: Int64

  /// Writes the death into the message's headers and takes `expiration` away. The entry of this queue and reason counts up
  /// and comes to the front; its other fields stay those of the first time.
  func note(in envelope: inout Envelope) {
    let expiration = envelope.remove(property: "expiration")
    var deaths = Self.deaths(envelope)
    let isFirst = deaths.isEmpty
    let known = deaths.firstIndex { $0["queue"]?.text == queue && $0["reason"]?.text == reason }
    if let known {
      deaths.insert(Self.countedUp(deaths.remove(at: known)), at: 0)
    } else {
      deaths.insert(entry(envelope, expiration), at: 0)
    }
    envelope.set(header: "x-death", .array(deaths))
    if isFirst || envelope.value(header: "x-first-death-reason") == nil {
      envelope.set(header: "x-first-death-reason", .string(reason))
      envelope.set(header: "x-first-death-queue", .string(queue))
      envelope.set(header: "x-first-death-exchange", .string(envelope.exchange))
    }
    envelope.set(header: "x-last-death-reason", .string(reason))
    envelope.set(header: "x-last-death-queue", .string(queue))
    envelope.set(header: "x-last-death-exchange", .string(envelope.exchange))
  }

  private func entry(_ envelope: Envelope, _ expiration: Text?) -> JSONTree {
    var members: [JSONTree.Member] = [
      .init("count", .integer(1)), .init("reason", .string(reason)), .init("queue", .string(queue)),
      .init("time", .timestamp(UInt64(max(0, timeS)))), .init("exchange", .string(envelope.exchange)),
      .init("routing-keys", .array(envelope.shownKeys.map { .string($0) })),
    ]
    if let expiration { members.append(.init("original-expiration", .string(expiration))) }
    return .object(members)
  }

  private static func countedUp(_ entry: JSONTree) -> JSONTree {
    guard case .object(var members) = entry else { return entry }
    if let place = members.firstIndex(where: { $0.key == "count" }) {
      let count = members[place].value.integer ?? 0
      members[place].value = .integer(count == .max ? .max : count + 1)
    } else {
      members.append(.init("count", .integer(2)))
    }
    return .object(members)
  }

  static func deaths(_ envelope: Envelope) -> [JSONTree] {
    guard case .array(let deaths)? = envelope.value(header: "x-death") else { return [] }
    return deaths
  }

  /// Whether a message that has died like this would come to `queue` by a circle that nobody's refusal is part of: then it
  /// goes round for ever.
  static func isCycle(_ deaths: [JSONTree], to queue: Text) -> Bool {
    for death in deaths {
      if death["reason"]?.text == "rejected" { return false }
      if death["queue"]?.text == queue { return true }
    }
    return false
  }
}
