// A receiver of messages: a subscription, the fetches of a connection on a group, or a private tail of a topic.
//
// Holds: `inFlight` counts what was delivered here and has not come back; two companions share one credit.
// Leaves to others: who is served when (Groups+Dispatch), what becomes of deliveries (OutstandingMessages).
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

  /// Its number in the broker, which is used again after the consumer is removed.
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
  /// Which front end it belongs to; 0 for none.
  public let frontEnd: UInt8
  /// Whether nothing is shown to it before the records of the delivery are settled.
  let waitsForRecords: Bool
  /// How it wants to be served.
  @exclusivity(unchecked) public private(set) var options: ConsumerOptions
  /// Messages delivered here and not acknowledged.
  @exclusivity(unchecked) public private(set) var inFlight = 0
  /// Whether its connection has too much unsent; nothing is delivered meanwhile.
  @exclusivity(unchecked) public private(set) var isPaused = false
  /// Whether it takes nothing any more, and goes when what it has is acknowledged.
  @exclusivity(unchecked) private(set) var isLeaving = false
  /// Fetches that are not answered yet.
  @exclusivity(unchecked) private(set) var fetches: [Fetch] = []
  /// What it shares with other consumers besides its own credit; nil for nothing.
  @exclusivity(unchecked) private(set) var sharedCredit: SharedCredit?
  /// The other one of a pair that shares one credit, comes and goes together.
  @exclusivity(unchecked) private(set) var companion: Consumer?
  /// In a tail: the position of the next message.
  @exclusivity(unchecked) private var position: TopicCursor

  init(
    number: UInt32, connection: UInt64, sub: Int64, kind: Kind, topic: Topic, group: Group?, options: ConsumerOptions,
    start: TopicOffset, rule: DeliveryRule
  ) {
    self.number = number
    self.connection = connection
    self.sub = sub
    self.kind = kind
    self.topic = topic
    self.group = group
    self.options = options
    position = TopicCursor(offset: start)
    frontEnd = options.frontEnd
    waitsForRecords = rule == .afterOwnRecord
  }

  /// Whether it can take one more message now.
  var canTake: Bool {
    switch kind {
    case .subscription:
      if isPaused || isLeaving { return false }
      if let sharedCredit, !sharedCredit.hasRoom { return false }
      guard let companion else { return inFlight < options.credit }
      return inFlight + companion.inFlight < options.credit
    case .fetcher: return fetches.contains(where: \.hasRoom)
    case .tail: return !isPaused
    }
  }

  /// Takes over the options of the latest fetch.
  func setOptions(_ options: ConsumerOptions) { self.options = options }

  func setCredit(_ credit: Int) { options.credit = credit }

  func setPaused(_ isPaused: Bool) { self.isPaused = isPaused }

  func setLeaving() { isLeaving = true }

  /// The two share one credit from here on.
  func pair(with companion: Consumer) {
    self.companion = companion
    companion.companion = self
  }

  /// Ends the pair: each of the two has a credit of its own again.
  func unpair() {
    companion?.companion = nil
    companion = nil
  }

  func share(_ credit: SharedCredit) {
    sharedCredit = credit
    credit.add(self)
  }

  /// Leaves the shared credit; gives it if its other members have room because of that.
  func leaveSharedCredit() -> SharedCredit? {
    guard let credit = sharedCredit else { return nil }
    sharedCredit = nil
    let hadRoom = credit.hasRoom
    credit.remove(self)
    return !hadRoom && credit.hasRoom ? credit : nil
  }

  // MARK: In flight

  @inline(__always) func noteGiven() {
    inFlight += 1
    sharedCredit?.noteGiven(to: self)
  }

  /// Counts one message in flight less; gives the shared credit if that has room again.
  @inline(__always) func noteTakenBack() -> SharedCredit? {
    inFlight -= 1
    guard let sharedCredit else { return nil }
    return sharedCredit.noteTakenBack() ? sharedCredit : nil
  }

  func forgetInFlight() {
    _ = sharedCredit?.noteTakenBack(inFlight)
    inFlight = 0
  }

  // MARK: Tails

  /// The next message of a tail. O(1) when reading on.
  func readNext() -> TopicRead { topic.log.read(&position) }

  /// Moves over the message that `readNext` gave.
  func pass(_ record: MessageRecord) { position.pass(record) }

  /// Moves to the first message that is still there; gives what was lost.
  func skipTrimmed() -> Range<TopicOffset> {
    let lost = position.offset
    position = TopicCursor(offset: topic.log.firstOffset)
    return lost..<position.offset
  }

  // MARK: Fetches

  func begin(_ fetch: Fetch) { fetches.append(fetch) }

  /// Adds a message to the first fetch that has room for one.
  func collect(_ delivery: Delivery) {
    guard let index = fetches.firstIndex(where: \.hasRoom) else {
      preconditionFailure("a fetcher got more than it asked for")
    }
    fetches[index].collected.append(delivery)
    fetches[index].bytesRemaining -= delivery.record.length
  }

  /// Makes a fetch that found nothing wait.
  func wait(token: UInt64, timer: TimerID, endsWhenLoaded: Bool) {
    guard let index = fetches.firstIndex(where: { $0.token == token }) else { return }
    fetches[index].timer = timer
    fetches[index].endsWhenLoaded = endsWhenLoaded
  }

  /// Ends a fetch and gives it; nil when it was answered.
  func endFetch(token: UInt64) -> Fetch? {
    fetches.firstIndex { $0.token == token }.map { fetches.remove(at: $0) }
  }

  /// Ends the fetches for which `isAnswered` is true, and gives them.
  func endFetches(where isAnswered: (Fetch) -> Bool) -> [Fetch] {
    if !fetches.contains(where: isAnswered) { return [] }
    let ended = fetches.filter(isAnswered)
    fetches.removeAll(where: isAnswered)
    return ended
  }
}

/// A fetch that is not answered yet.
struct Fetch {
  let token: UInt64
  let limit: Int
  /// Bytes that its reply may still get; the message that uses them up is the last one.
  var bytesRemaining: Int
  var timer = TimerID.none
  /// It waits for the disk only and is answered, empty if need be, as soon as that has come.
  var endsWhenLoaded = true
  var collected: [Delivery] = []

  init(token: UInt64, limit: Int, bytesMax: Int) {
    self.token = token
    self.limit = limit
    bytesRemaining = bytesMax
  }

  var hasRoom: Bool { collected.count < limit && bytesRemaining > 0 }
}
