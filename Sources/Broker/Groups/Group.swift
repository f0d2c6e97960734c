// A consumer group: its cursor in the topic, its outstanding messages and its consumers.
//
// Holds: every offset below the cursor is finished (acknowledged, passed over, dead-lettered) or outstanding, and none above
// is outstanding. In a queue, offsets above the cursor may have ended; the one at the cursor never has.
// Leaves to others: what is outstanding (OutstandingMessages), who gets the next message (Groups+Dispatch), the journal, what
// a queue does besides (QueueRules).
//
// This file alone moves the cursor.
//
// No exclusivity checks on what every message touches: one thread owns it, and the checks took 13 % of a burst's time.

import Primitives
import TopicLog

/// A group of consumers that share a topic's messages.
public final class Group {
  /// Its number in the journal.
  public let number: UInt32
  /// Its name.
  public let name: String
  /// Its topic.
  public let topic: Topic
  /// What it does as a queue; nil for a group of readers.
  public let queue: QueueRules?
  /// Its outstanding messages.
  let outstanding = OutstandingMessages()
  @exclusivity(unchecked) private var position: TopicCursor
  @exclusivity(unchecked) private var lowest: TopicOffset
  /// In a queue: offsets above the cursor whose messages have ended.
  @exclusivity(unchecked) private(set) var endedAhead = OffsetSet()
  @exclusivity(unchecked) private(set) var consumers: [Consumer] = []
  @exclusivity(unchecked) private var turn = 0
  /// How its consumers want to be served; the options of the last one count.
  @exclusivity(unchecked) private(set) var options = ConsumerOptions()
  /// Whether a consumer here shares its credit with one of another group.
  @exclusivity(unchecked) private(set) var hasCompanions = false
  /// Whether its consumers are not all equal.
  @exclusivity(unchecked) private var isChoosy = false
  /// Whether it stands in the line of groups to be served.
  @exclusivity(unchecked) private(set) var isDirty = false
  /// Whether dispatch cannot go on before a part of the log has come from disk.
  @exclusivity(unchecked) private(set) var waitsForDisk = false
  /// Messages that have ended, and no record says so yet.
  @exclusivity(unchecked) private var unrecordedEnds: [OffsetRun] = []
  /// Messages that are with consumers which do not acknowledge, and have not ended yet.
  @exclusivity(unchecked) private var selfAcknowledged: [TopicOffset] = []

  init(number: UInt32, name: String, topic: Topic, startOffset: TopicOffset, queue: QueueRules?) {
    self.number = number
    self.name = name
    self.topic = topic
    self.queue = queue
    position = TopicCursor(offset: startOffset)
    lowest = startOffset
  }

  // MARK: Looking

  /// The offset of the next message that it has not been given.
  public var cursor: TopicOffset { position.offset }

  /// The first offset that is not finished. Amortised O(1): it only moves up.
  public var committed: TopicOffset {
    if outstanding.count == 0 {
      lowest = cursor
    } else {
      while lowest < cursor, outstanding.find(lowest) == nil { lowest += 1 }
    }
    return lowest
  }

  /// Whether a message has ended. O(1).
  func hasFinished(_ offset: TopicOffset) -> Bool {
    offset < cursor ? outstanding.find(offset) == nil : endedAhead.contains(offset)
  }

  /// Messages that the group has still to finish. O(1).
  public var lag: UInt64 {
    let nextOffset = topic.log.nextOffset
    return (nextOffset > cursor ? nextOffset - cursor : 0) + UInt64(outstanding.count)
  }

  /// Messages of a queue that could be delivered now. O(1).
  public var readyCount: Int {
    let ahead = Int(topic.log.nextOffset - min(cursor, topic.log.nextOffset)) - endedAhead.count
    return ahead + outstanding.deliverableCount
  }

  /// Messages with a consumer.
  public var inFlight: Int { outstanding.inFlight }
  /// Subscriptions and fetching connections.
  public var members: Int { consumers.count }

  /// Whether it wants a message: its consumers take all, or the message has one of their tags.
  @inline(__always) func wants(_ record: MessageRecord) -> Bool { options.wants(record) }

  /// Where its dead letters go, unless it is a queue.
  var deadLetterTopic: String { options.deadLetterTopic ?? "\(topic.name).\(name).dlq" }

  // MARK: The cursor

  /// The message at the cursor; the cursor stays. O(1) when reading on.
  @inline(__always) func readNext() -> TopicRead { topic.log.read(&position) }

  /// Moves the cursor over the message that `readNext` gave.
  @inline(__always) func pass(_ record: MessageRecord) {
    position.pass(record)
    if endedAhead.count > 0 { passEnded() }
  }

  /// Moves the cursor up, over what is finished, outstanding or not there any more.
  func skip(to offset: TopicOffset) {
    if endedAhead.count > 0 { endedAhead.remove(in: cursor..<max(cursor, offset)) }
    position = TopicCursor(offset: offset)
    passEnded()
  }

  /// Moves the cursor over messages that have ended. Each is passed once.
  private func passEnded() {
    guard endedAhead.count > 0 else { return }
    let next = endedAhead.removeRun(from: cursor)
    if next != cursor { position = TopicCursor(offset: next) }
  }

  /// Ends a message: takes it out of what is outstanding or, in a queue, lets the cursor pass it when it comes there. Gives the
  /// entry of one that was outstanding. O(1).
  func finish(_ offset: TopicOffset) -> Outstanding? {
    if offset < cursor { return outstanding.finish(offset) }
    if queue != nil, offset < topic.log.nextOffset {
      endedAhead.insert(offset)
      passEnded()
    }
    return nil
  }

  /// Moves the cursor to `offset` and forgets all outstanding messages.
  func move(to offset: TopicOffset) {
    position = TopicCursor(offset: offset)
    lowest = offset
    outstanding.removeAll()
    for consumer in consumers { consumer.forgetInFlight() }
  }

  // MARK: Consumers

  /// The next consumer that can take a message; it stays the next until it was given one. O(members).
  @inline(__always) func nextConsumer() -> Consumer? {
    if isChoosy { return chosenConsumer() }
    for step in 0..<consumers.count {
      let index = (turn + step) % consumers.count
      if consumers[index].canTake {
        turn = index
        return consumers[index]
      }
    }
    return nil
  }

  /// The same where not all are equal: with a single active consumer that one, or whoever fetches; otherwise the first of the
  /// highest priority.
  private func chosenConsumer() -> Consumer? {
    var active: Consumer?
    if queue?.hasSingleActive == true { active = consumers.first { $0.kind == .subscription && !$0.isLeaving } }
    var chosen: Int?
    for step in 0..<consumers.count {
      let place = (turn + step) % consumers.count
      let consumer = consumers[place]
      guard consumer.canTake, active == nil || consumer === active || consumer.kind == .fetcher else { continue }
      if let best = chosen, consumers[best].options.priority >= consumer.options.priority { continue }
      chosen = place
    }
    guard let chosen else { return nil }
    turn = chosen
    return consumers[chosen]
  }

  /// The next consumer has been given a message: the turn is another one's.
  @inline(__always) func passTurn() { turn += 1 }

  func add(_ consumer: Consumer) {
    consumers.append(consumer)
    noteChoice()
  }

  func remove(_ consumer: Consumer) {
    consumers.removeAll { $0 === consumer }
    noteChoice()
  }

  private func noteChoice() {
    isChoosy = queue?.hasSingleActive == true || queue != nil && consumers.contains { $0.options.priority != 0 }
  }

  func noteCompanions() { hasCompanions = true }

  func adopt(_ options: ConsumerOptions) { self.options = options }

  // MARK: Work for later in the turn

  /// Notes whether it stands in the line of groups to be served.
  @inline(__always) func setDirty(_ isDirty: Bool) { self.isDirty = isDirty }

  @inline(__always) func setWaitsForDisk(_ waits: Bool) { waitsForDisk = waits }

  /// A message has ended, and no record says so yet. Gives whether it is the first of this kind. O(1).
  @inline(__always) func noteEnd(_ offset: TopicOffset) -> Bool {
    defer { unrecordedEnds.add(offset) }
    return unrecordedEnds.isEmpty
  }

  /// Calls `body` for each record to be written about ended messages that have none, and forgets these.
  @inline(__always) func takeUnrecordedEnds(_ body: (DecidedList<OffsetRun>) -> Void) {
    if unrecordedEnds.isEmpty { return }
    unrecordedEnds.forEachRecord(body)
    unrecordedEnds.removeAll(keepingCapacity: true)
  }

  /// A message is with a consumer that does not acknowledge.
  func noteSelfAcknowledged(_ offset: TopicOffset) { selfAcknowledged.append(offset) }

  /// Calls `body` for each message that is with a consumer which does not acknowledge, and forgets them; gives their number.
  @inline(__always) func takeSelfAcknowledged(_ body: (TopicOffset) -> Void) -> Int {
    if selfAcknowledged.isEmpty { return 0 }
    let count = selfAcknowledged.count
    for offset in selfAcknowledged { body(offset) }
    selfAcknowledged.removeAll(keepingCapacity: true)
    return count
  }

  // MARK: A start

  /// Restores the state of a checkpoint.
  func recover(_ entries: [Outstanding], cursor: TopicOffset) {
    position = TopicCursor(offset: cursor)
    for entry in entries.sorted(by: { $0.offset < $1.offset }) {
      outstanding.recover(entry)
      // `committed` begins at the lowest outstanding message.
      lowest = min(lowest, entry.offset)
    }
  }

  /// Restores the queue's part of a checkpoint.
  func recover(endedAhead ended: OffsetSet) { endedAhead = ended }

  /// After a salvage: forgets messages from `endOffset` on, which are not in the topic any more.
  func forgetLost(from endOffset: TopicOffset) {
    if cursor > endOffset { position = TopicCursor(offset: endOffset) }
    for offset in endedAhead.offsets where offset >= endOffset { endedAhead.remove(offset) }
  }

  func checkInvariants() {
    outstanding.checkInvariants()
    outstanding.forEach { precondition($0.pointee.offset < cursor, "what is outstanding is below the cursor") }
    precondition(queue != nil || endedAhead.count == 0, "only messages of queues end above the cursor")
    precondition(!endedAhead.contains(cursor), "the message at the cursor has not ended")
    for offset in endedAhead.offsets {
      precondition(offset > cursor && offset < topic.log.nextOffset, "what has ended ahead is ahead, and in the log")
    }
    precondition(committed <= cursor, "a group has not finished more than it was given")
  }
}
