// A consumer group: how far it has come in its topic, and what it has been given and not finished.
//
// Holds: every offset below `cursor.offset` is finished (acknowledged, passed over, dead) or outstanding; of the
// outstanding messages of one key only the first is not parked; `ready` holds every outstanding offset in state ready.
// Leaves to others: who gets the next message (Broker+Dispatch), timers, the journal.
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
  @exclusivity(unchecked) var cursor: TopicCursor
  let outstanding = OutstandingTable()
  @exclusivity(unchecked) var ready = OffsetHeap()
  /// Offsets in state dying, in their order; may hold some that have ended since.
  @exclusivity(unchecked) var dying = Fifo<TopicOffset>()
  /// Messages in state dying; that one counts, too, which is being buried.
  @exclusivity(unchecked) var dyingCount = 0
  @exclusivity(unchecked) var consumers: [Consumer] = []
  @exclusivity(unchecked) var turn = 0
  @exclusivity(unchecked) var tags: [[UInt8]]?
  @exclusivity(unchecked) var isOrdered = false
  @exclusivity(unchecked) var maxAttempts: UInt32 = 16
  var deadLetterTopic: String?
  /// Whether a consumer here shares its credit with one of another group.
  @exclusivity(unchecked) var hasCompanions = false
  /// For ordered delivery: the outstanding offsets of each key, ascending.
  private var keyLines: [UInt64: KeyLine] = [:]
  @exclusivity(unchecked) var inFlightCount = 0
  @exclusivity(unchecked) var isDirty = false
  /// True while dispatch cannot go on before a chunk has come from disk.
  @exclusivity(unchecked) var waitsForDisk = false
  /// Acknowledged in this turn and not in the journal yet: runs of offsets.
  @exclusivity(unchecked) var unrecordedAcks: [(start: TopicOffset, count: UInt32)] = []
  /// What a queue adds; nil for a group of readers.
  public let contents: QueueContents?
  /// Delivered in this dispatch to consumers that do not acknowledge.
  var selfAcknowledged: [TopicOffset] = []
  @exclusivity(unchecked) private var lowest: TopicOffset

  init(number: UInt32, name: String, topic: Topic, startOffset: TopicOffset) {
    self.number = number
    self.name = name
    self.topic = topic
    cursor = TopicCursor(offset: startOffset)
    lowest = startOffset
    contents = topic.isQueue ? QueueContents() : nil
  }

  /// The first offset that is not finished. Amortised O(1): it only moves up.
  public var committed: TopicOffset {
    if outstanding.count == 0 {
      lowest = cursor.offset
    } else {
      while lowest < cursor.offset, outstanding.find(lowest) == nil { lowest += 1 }
    }
    return lowest
  }

  /// After a recovery: `offset` is outstanding, though below the cursor.
  func noteOutstanding(_ offset: TopicOffset) { lowest = min(lowest, offset) }

  /// Messages that the group has still to finish.
  public var lag: UInt64 {
    let nextOffset = topic.log.nextOffset
    return (nextOffset > cursor.offset ? nextOffset - cursor.offset : 0) + UInt64(outstanding.count)
  }

  /// Messages with a consumer.
  public var inFlight: Int { inFlightCount }
  /// Subscriptions and fetching connections.
  public var members: Int { consumers.count }

  /// Moves to `offset` and forgets what was given out.
  func moveTo(_ offset: TopicOffset) {
    cursor = TopicCursor(offset: offset)
    lowest = offset
    outstanding.removeAll()
    ready.removeAll()
    dying = Fifo()
    dyingCount = 0
    keyLines = [:]
    inFlightCount = 0
    for consumer in consumers { consumer.inFlight = 0 }
  }

  /// Takes an offset out of the table, its consumer's count and its key's line; gives the entry, and the offset of the next
  /// message of its key when that one may go now.
  func finish(_ offset: TopicOffset, consumer: (UInt32) -> Consumer?) -> (entry: Outstanding, next: TopicOffset?)? {
    guard let entry = outstanding.remove(offset) else { return nil }
    if entry.state == .inFlight {
      inFlightCount -= 1
      consumer(entry.consumer)?.inFlight -= 1
    } else if entry.state == .dying {
      dyingCount -= 1
    }
    return (entry, entry.keyHash == 0 ? nil : leaveLine(entry))
  }

  /// A delivery that came to nothing for the last time: it waits to be buried.
  func startDying(_ entry: UnsafeMutablePointer<Outstanding>) {
    entry.pointee.state = .dying
    dying.append(entry.pointee.offset)
    dyingCount += 1
  }

  private func leaveLine(_ entry: Outstanding) -> TopicOffset? {
    guard let wasFirst = keyLines[entry.keyHash]?.remove(entry.offset) else { return nil }
    let next = keyLines[entry.keyHash]!.first
    if next == nil { keyLines[entry.keyHash] = nil }
    guard wasFirst, let next, let waiting = outstanding.find(next), waiting.pointee.state == .parked else { return nil }
    waiting.pointee.state = .ready
    ready.insert(next)
    return next
  }

  /// Whether a message of this key must wait behind another one; if not, or if it parks, it stands in the key's line now.
  func joinLine(_ keyHash: UInt64, _ offset: TopicOffset) -> Bool {
    keyLines[keyHash, default: KeyLine()].append(offset)
    return keyLines[keyHash]!.first != offset
  }

  func wants(_ record: MessageRecord) -> Bool {
    guard let tags else { return true }
    let tag = record.tag
    return tags.contains { $0.count == tag.count && $0.withUnsafeBytes { $0.elementsEqual(tag) } }
  }

  /// The next consumer that can take a message; it stays the next until it was given one. O(members).
  func nextConsumer() -> Consumer? {
    for step in 0..<consumers.count {
      let place = (turn + step) % consumers.count
      if consumers[place].canTake {
        turn = place
        return consumers[place]
      }
    }
    return nil
  }
  /// The next consumer has been given a message: the turn is another one's.
  func passTurn() { turn += 1 }
}
