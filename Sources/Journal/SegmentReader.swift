// Frames of one segment file, read through a window of memory.
//
// Holds: memory is bounded by one window and the longest frame; the file is never changed.
// Leaves to others: which sequence must come next and what an invalid place means (JournalReader).

import DecisionLog
import Primitives

/// An open segment file.
final class SegmentReader {
  private static let windowBytes = 1 << 20

  let storage: any Storage
  /// The path, for errors.
  let file: String
  let fileBytes: Int
  private let id: FileID
  private var window: UnsafeMutableRawBufferPointer
  private var windowStart = 0
  private var windowCount = 0

  init(_ storage: any Storage, file: String) throws(JournalError) {
    self.storage = storage
    self.file = file
    do throws(StorageError) {
      id = try storage.open(file, create: false)
      do throws(StorageError) { fileBytes = try storage.size(id) } catch {
        storage.close(id)
        throw error
      }
    } catch { throw .storage(error) }
    window = .allocate(byteCount: min(Self.windowBytes, max(fileBytes, SegmentHeader.bytes) + 8), alignment: 16)
  }

  deinit {
    storage.close(id)
    window.deallocate()
  }

  /// The header, judged by itself, by the store it must belong to and by the length of the file.
  func header(store: StoreID, named first: Sequence) throws(JournalError) {
    let header = try SegmentHeader.read(from: bytes(at: 0, count: SegmentHeader.bytes), file: file)
    guard header.store == store else { throw .otherStore(file: file) }
    guard header.firstSequence == first else {
      throw .damaged(file: file, offset: 16, reason: "the header says that it begins with \(header.firstSequence)")
    }
    guard fileBytes >= header.fileBytes else {
      throw .damaged(file: file, offset: fileBytes, reason: "the file was \(header.fileBytes) bytes long and is cut")
    }
  }

  /// Memory from `offset` on: at least `count` bytes unless the file ends before. Good until the next call.
  func bytes(at offset: Int, count: Int) throws(JournalError) -> UnsafeRawBufferPointer {
    let wanted = max(0, min(count, fileBytes - offset))
    if offset < windowStart || offset + wanted > windowStart + windowCount {
      if wanted > window.count {
        window.deallocate()
        window = .allocate(byteCount: wanted, alignment: 16)
      }
      windowStart = offset
      do throws(StorageError) { windowCount = try storage.read(id, at: offset, into: window) } catch {
        windowCount = 0
        throw .storage(error)
      }
    }
    let from = min(offset - windowStart, windowCount)
    return UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(window)[from..<windowCount])
  }

  /// The valid frame at `offset`; nil when there is none. Its payload is good until the next call.
  func frame(at offset: Int) throws(JournalError) -> FoundFrame? {
    var count = Frame.headerBytes
    while true {
      let memory = try bytes(at: offset, count: count)
      switch FoundFrame.parse(memory) {
      case .frame(let frame): return frame
      case .invalid: return nil
      case .incomplete(let needed):
        if needed > fileBytes - offset || needed <= count && memory.count < needed { return nil }
        count = needed
      }
    }
  }

  /// Whether writing ended at `offset`: there are the zero bytes behind the last write, or the file ends.
  func isEnd(at offset: Int) throws(JournalError) -> Bool {
    let memory = try bytes(at: offset, count: RecordBuffer.endBytes)
    return memory.prefix(RecordBuffer.endBytes).allSatisfy { $0 == 0 }
  }

  /// What was found behind an offset at which there is no frame.
  struct Remains {
    /// The first batch mark with a sequence of at least the expected one.
    var nextMark: (offset: Int, sequence: Sequence)?
    /// A batch mark that says the expected record had been durable.
    var proof: Int?
    /// The end of the last 8 bytes that are not all zero.
    var end: Int
  }

  /// Looks at every 8th byte from `offset` on for batch marks. About 1 ns each.
  func remains(from offset: Int, expected: Sequence, tag: UInt64) throws(JournalError) -> Remains {
    var found = Remains(end: offset)
    var place = offset
    while place + 8 <= fileBytes {
      // Counting from the start of each window keeps the inner loop free of calls.
      let memory = try bytes(at: place, count: min(BatchMark.bytes, fileBytes - place))
      let words = memory.count / 8
      var index = 0
      while index < words {
        let word = memory.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self)
        if word != 0 {
          found.end = place + index * 8 + 8
          if UInt32(truncatingIfNeeded: UInt64(littleEndian: word)) == UInt32(BatchMark.bytes) {
            // A mark that the window cuts is looked at again from its own start.
            if memory.count - index * 8 < BatchMark.bytes && index > 0 { break }
            let rest = UnsafeRawBufferPointer(rebasing: memory[(index * 8)...])
            note(rest, at: place + index * 8, expected: expected, tag: tag, in: &found)
          }
        }
        index += 1
      }
      place += max(index, 1) * 8
    }
    return found
  }

  private func note(
    _ memory: UnsafeRawBufferPointer, at offset: Int, expected: Sequence, tag: UInt64, in found: inout Remains
  ) {
    guard case .frame(let frame) = FoundFrame.parse(memory), frame.sequence >= expected,
      let durable = BatchMark.durableSequence(frame, tag: tag), durable < frame.sequence
    else { return }
    if found.nextMark == nil { found.nextMark = (offset, frame.sequence) }
    if durable >= expected && found.proof == nil { found.proof = offset }
  }
}
