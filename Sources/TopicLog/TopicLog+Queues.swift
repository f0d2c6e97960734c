// Reading one queue of a topic: the messages of the log that carry its number, counted 0, 1, 2, … by themselves.
//
// Holds: a queue's offsets have no gaps and are never given twice; they follow from the log alone, so they need no record and no
// file of their own.
// Leaves to others: which queues a topic shows to clients, how far groups have come.

import Primitives

/// A place in a queue. Reading on costs the records of the other queues in between; a jump costs the records of a chunk.
public struct QueueCursor {
  /// The queue.
  public let queue: UInt8
  /// The queue's offset that the next read gives.
  public private(set) var offset: UInt64
  /// Where in the topic the search for it goes on, and how many messages of the queue stand before that.
  fileprivate var place = TopicCursor(offset: 0)
  fileprivate var passed: UInt64 = 0
  /// The end of the chunk that `place` is in; 0: nowhere yet.
  fileprivate var chunkEnd: TopicOffset = 0

  /// At an offset of a queue.
  public init(queue: UInt8, offset: UInt64) {
    self.queue = queue
    self.offset = offset
  }

  /// Behind the record that was just read here.
  public mutating func pass(_ record: MessageRecord) {
    offset += 1
    passed += 1
    place.pass(record)
  }
}

extension TopicLog {
  /// The number of queues that have ever had a message; at least 1.
  public var queueCount: Int { queueCounts.others.count + 1 }

  /// The offsets of a queue whose messages are still there. O(queues).
  public func offsets(ofQueue queue: UInt8) -> Range<UInt64> {
    let end = queueCounts.count(of: queue, before: nextOffset)
    guard let first = chunks.first else { return end..<end }
    return first.queueCounts.count(of: queue, before: first.firstOffset)..<end
  }

  /// How many messages of each queue stand before the first segment: what a start counts on from.
  public var queueCountsOfFirstSegment: QueueCounts { segments.first?.queueCounts ?? queueCounts }

  /// The queue's next record at the cursor. A record is read again until the cursor has passed it.
  ///
  /// - Complexity: O(records of other queues in between); after a jump, O(log chunks + records in a chunk).
  public func read(_ cursor: inout QueueCursor) -> TopicRead {
    let offsets = offsets(ofQueue: cursor.queue)
    guard cursor.offset < offsets.upperBound else { return .end }
    guard cursor.offset >= offsets.lowerBound else { return .trimmed }
    while true {
      if cursor.place.offset >= cursor.chunkEnd || cursor.place.offset < firstOffset { enterChunk(&cursor) }
      let found = read(&cursor.place)
      switch found {
      case .record(let record), .lost(let record):
        if record.queue == cursor.queue {
          if cursor.passed == cursor.offset { return found }
          cursor.passed += 1
        }
        cursor.place.pass(record)
      case .loading: return .loading
      case .end, .trimmed, .forgotten:
        preconditionFailure(
          "topic \(topic): offset \(cursor.offset) of queue \(cursor.queue) is not where it should be")
      }
    }
  }

  /// On into the chunk behind the last one, or the rest of one that has grown, when what is wanted is there; else a jump.
  private func enterChunk(_ cursor: inout QueueCursor) {
    if cursor.chunkEnd > 0, cursor.place.offset >= firstOffset {
      let place = chunkPlace(of: cursor.place.offset)
      let next = place + 1
      if next == chunks.count
        || chunks[next].queueCounts.count(of: cursor.queue, before: chunks[next].firstOffset) > cursor.offset
      {
        cursor.chunkEnd = chunks[place].endOffset
        return
      }
    }
    jump(&cursor)
  }

  /// To the beginning of the chunk that has the offset wanted: the last one with no more messages of the queue before it.
  private func jump(_ cursor: inout QueueCursor) {
    var low = 0
    var high = chunks.count
    while low < high {
      let middle = (low + high) / 2
      let before = chunks[middle].queueCounts.count(of: cursor.queue, before: chunks[middle].firstOffset)
      if before <= cursor.offset { low = middle + 1 } else { high = middle }
    }
    let chunk = chunks[low - 1]
    cursor.place = TopicCursor(offset: chunk.firstOffset)
    cursor.passed = chunk.queueCounts.count(of: cursor.queue, before: chunk.firstOffset)
    cursor.chunkEnd = chunk.endOffset
  }

  /// The queue's offset of the first message at or after an offset of the topic; nil when the log must be read from disk first (ask
  /// again when `chunkLoaded` is called). O(log chunks + records in a chunk).
  public func offset(inQueue queue: UInt8, atOrAfter offset: TopicOffset) -> UInt64? {
    let offsets = offsets(ofQueue: queue)
    guard offset < nextOffset else { return offsets.upperBound }
    guard offset > firstOffset else { return offsets.lowerBound }
    let chunk = chunks[chunkPlace(of: offset)]
    var count = chunk.queueCounts.count(of: queue, before: chunk.firstOffset)
    var cursor = TopicCursor(offset: chunk.firstOffset)
    while cursor.offset < offset {
      switch read(&cursor) {
      case .record(let record), .lost(let record):
        if record.queue == queue { count += 1 }
        cursor.pass(record)
      case .loading: return nil
      case .end, .trimmed, .forgotten: return offsets.upperBound
      }
    }
    return count
  }
}
