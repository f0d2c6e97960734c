// Buffers that were written and wait to be filled again: their memory is kept, so that a busy log allocates nothing.
//
// Holds: a few buffers, none of them large.
// Leaves to others: locking (each log keeps it among what its threads share).

import Primitives

/// Record buffers for reuse.
public struct RecordBufferPool: Sendable {
  /// How many are kept, and the largest one that is.
  static let buffersMax = 8
  static let bufferBytesMax = 4 << 20

  private var buffers: [RecordBuffer] = []

  /// Nothing yet.
  public init() {}

  /// An empty buffer, used before if there is one, whose first record will get the sequence `next`.
  public mutating func take(nextSequence next: Sequence) -> RecordBuffer {
    let buffer = buffers.popLast() ?? RecordBuffer()
    buffer.reset(nextSequence: next)
    return buffer
  }

  /// Takes back a buffer that is done with.
  public mutating func recycle(_ buffer: RecordBuffer) {
    if buffers.count < Self.buffersMax, buffer.capacityBytes <= Self.bufferBytesMax { buffers.append(buffer) }
  }
}
