// The memory that topic logs may keep: one budget for all topics, given back by the clock (second chance) rule.
//
// Holds: a chunk that is not on disk yet is never dropped; pointers into chunks stay good until the next `evict`, which
// the owner calls between turns of the loop.
// Leaves to others: which chunk is which (TopicLog).

import DataFiles
import Primitives

/// Memory of all topic logs.
public final class ChunkCache {
  private let bytesMax: Int
  /// Bytes held now.
  public private(set) var bytes = 0
  private var queue: [(log: TopicLog, chunk: Int)] = []
  private var head = 0
  /// Entries of the queue whose chunk was dropped: by trimming, or with its topic.
  private var droppedCount = 0
  /// Memory of dropped chunks that pointers of this turn may still point into.
  private var droppedMemory: [Chunk] = []

  /// A budget of `bytesMax` bytes.
  public init(bytesMax: Int) { self.bytesMax = bytesMax }

  func holds(_ log: TopicLog, chunk: Int, bytes: Int) {
    self.bytes += bytes
    queue.append((log, chunk))
  }

  func dropped(_ chunk: LogChunk) {
    guard let memory = chunk.memory else { return }
    bytes -= memory.capacity
    droppedCount += 1
    droppedMemory.append(memory)
  }

  /// Drops the least recently used chunks until the budget holds, or until only unwritten ones are left (which it hands to
  /// the write lane). O(chunks looked at).
  public func evict() {
    if !droppedMemory.isEmpty { droppedMemory.removeAll(keepingCapacity: true) }
    if droppedCount > 1024, droppedCount * 2 > queue.count - head { forgetDropped() }
    guard bytes > bytesMax else { return }
    var looks = queue.count - head
    while bytes > bytesMax, looks > 0 {
      let (log, chunk) = queue[head]
      head += 1
      looks -= 1
      if let freed = log.giveUp(chunk) {
        bytes -= freed
      } else if log.isInMemory(chunk) {
        queue.append((log, chunk))
      }
    }
    if head > 4096, head * 2 > queue.count {
      queue.removeFirst(head)
      head = 0
    }
  }

  private func forgetDropped() {
    queue = queue[head...].filter { $0.log.isInMemory($0.chunk) }
    head = 0
    droppedCount = 0
  }
}

extension TopicLog {
  /// Drops the memory of a chunk and gives the bytes freed; nil when the chunk was used lately, is not on disk yet or holds
  /// nothing.
  func giveUp(_ number: Int) -> Int? {
    let place = number - chunksTrimmed
    guard chunks.indices.contains(place), let memory = chunks[place].memory else { return nil }
    if chunks[place].wasUsed {
      chunks[place].wasUsed = false
      return nil
    }
    guard let segment = segments.last(where: { $0.baseOffset == chunks[place].segmentBase }) else { return nil }
    if memory === segment.file.tail { return nil }
    guard segment.file.writtenLength >= memory.endPosition else {
      segment.file.flush()
      return nil
    }
    chunks[place].memory = nil
    return memory.capacity
  }

  func isInMemory(_ number: Int) -> Bool {
    let place = number - chunksTrimmed
    return chunks.indices.contains(place) && chunks[place].memory != nil
  }
}
