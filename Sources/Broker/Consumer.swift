// One who gets messages: a subscription, the fetches of a connection on a group, or a private tail of a topic.
//
// No exclusivity checks on what every message touches: one thread owns it, and the checks took 13 % of a burst's time.

import DecisionLog
import Primitives
import TimingWheel
import TopicLog

/// A consumer. Known to the server by the connection it belongs to and, for a subscription, the number shown on the wire.
public final class Consumer {
  /// The three ways of getting messages.
  public enum Kind: Sendable { case subscription, fetcher, tail }

  /// Its number in the broker; used again after it is gone.
  public let number: UInt32
  /// The server's key of the connection.
  public let connection: UInt64
  /// The number that the client knows; 0 for a fetcher.
  public let sub: Int64
  /// What it is.
  public let kind: Kind
  /// Its topic.
  public let topic: Topic
  /// Its group; nil for a tail.
  public let group: Group?
  /// How it wants to be served.
  @exclusivity(unchecked) public internal(set) var options: ConsumerOptions
  /// Messages delivered here and not acknowledged.
  @exclusivity(unchecked) public internal(set) var inFlight = 0
  /// Whether its connection has too much unsent; nothing is delivered meanwhile.
  @exclusivity(unchecked) public internal(set) var isPaused = false
  @exclusivity(unchecked) var cursor = TopicCursor(offset: 0)
  @exclusivity(unchecked) var fetches: [Fetch] = []
  /// Which front end it belongs to; 0 for none.
  public let frontEnd: UInt8
  /// Whether nothing is shown to it before the records of the delivery are settled.
  let waitsForRecords: Bool
  /// The other one of a pair that shares one credit, comes and goes together.
  @exclusivity(unchecked) var companion: Consumer?

  init(
    number: UInt32, connection: UInt64, sub: Int64, kind: Kind, topic: Topic, group: Group?, options: ConsumerOptions,
    rule: DeliveryRule
  ) {
    self.number = number
    self.connection = connection
    self.sub = sub
    self.kind = kind
    self.topic = topic
    self.group = group
    self.options = options
    frontEnd = options.frontEnd
    waitsForRecords = rule == .afterOwnRecord
  }

  /// Whether it can take one more message now.
  var canTake: Bool {
    switch kind {
    case .subscription:
      if isPaused { return false }
      guard let companion else { return inFlight < options.credit }
      return inFlight + companion.inFlight < options.credit
    case .fetcher: return fetches.contains(where: \.hasRoom)
    case .tail: return !isPaused
    }
  }
}

/// A fetch that is not answered yet.
struct Fetch {
  let token: UInt64
  let limit: Int
  /// Its reply ends with the message that uses these up.
  var bytesLeft: Int
  var timer = PendingSlab.noTimer
  /// It waits for the disk only and is answered, empty if need be, as soon as that has come.
  var endsWhenLoaded = false
  var collected: [Delivery] = []

  var hasRoom: Bool { collected.count < limit && bytesLeft > 0 }
}
