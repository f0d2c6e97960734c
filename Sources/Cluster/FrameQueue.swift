// Records that wait for their entries: the bytes of submitted buffers, cut into bodies.
//
// Holds: a body ends at the end of a record wherever one ends within it; a record longer than a body is cut, and stands alone.
// Leaves to others: when a body is taken (EntryWindow), what stands around it (EntryWriter).

import DecisionLog

/// The bytes of whole frames, in order.
struct FrameQueue {
  /// The body of an entry.
  struct Body {
    var bytes: ArraySlice<UInt8>
    var endedRecords: Int
    var goesOn: Bool
  }

  private var bytes: [UInt8] = []
  private var start = 0
  /// Bytes of a record whose beginning has been taken.
  private var openBytes = 0

  /// Bytes that wait.
  var count: Int { bytes.count - start }
  var isEmpty: Bool { count == 0 }

  /// Adds the frames of a buffer. O(bytes).
  mutating func append(_ buffer: RecordBuffer) {
    let whole = UnsafeRawBufferPointer(buffer.bytesToWrite())
    if start > 1 << 20 || start == bytes.count {
      bytes.removeFirst(start)
      start = 0
    }
    bytes += whole[RecordBuffer.frontBytes..<(whole.count - RecordBuffer.endBytes)]
  }

  /// Takes the next body, of at most `bytesMax`; there must be something. O(body).
  mutating func takeBody(bytesMax: Int) -> Body {
    precondition(!isEmpty, "a body is taken of something")
    var end = start
    var ended = 0
    var goesOn = false
    if openBytes > 0 {
      let taken = min(openBytes, bytesMax)
      openBytes -= taken
      end += taken
      goesOn = openBytes > 0
      ended = goesOn ? 0 : 1
    } else {
      while end < bytes.count, end - start + frameBytes(at: end) <= bytesMax {
        end += frameBytes(at: end)
        ended += 1
      }
      if ended == 0 {
        openBytes = frameBytes(at: start) - bytesMax
        end += bytesMax
        goesOn = true
      }
    }
    defer { start = end }
    return Body(bytes: bytes[start..<end], endedRecords: ended, goesOn: goesOn)
  }

  private func frameBytes(at place: Int) -> Int { Int(bytes.little(UInt32.self, at: place)) }
}
