// Filling a buffer of records: what lies in it is frames, dense and whole.

import DecisionLog
import Primitives
import Testing

@Suite struct RecordBufferTests {
  @Test("the two ways to append give the same bytes; an abandoned record leaves nothing")
  func appendWays() throws {
    let one = RecordBuffer(capacity: 1)
    let other = RecordBuffer(capacity: 4096)
    for length in 0..<300 {
      one.begin(5)
      one.append(UInt32(length))
      one.append(UInt8(0xAB))
      for _ in 0..<length { one.append(UInt8(1)) }
      let sequence = one.finish()
      let same = other.append(kind: 5, payloadCapacity: 1000) { memory in
        memory.storeBytes(of: UInt32(length).littleEndian, as: UInt32.self)
        memory[4] = 0xAB
        for index in 0..<length { memory[5 + index] = 1 }
        return 5 + length
      }
      #expect(sequence == same)
      other.begin(9)
      other.append(UInt64.max)
      other.abandon()
    }
    #expect(one.byteCount == other.byteCount && one.count == 300 && one.byteCount % 8 == 0)
  }

  @Test("what goes out is the front, whole frames with dense sequences, and zeroes")
  func goesOut() {
    let buffer = RecordBuffer(capacity: 1)
    buffer.reset(nextSequence: 7)
    #expect(buffer.isEmpty && buffer.lastSequence == 6 && buffer.byteCount == RecordBuffer.frontBytes)
    for length in 0..<100 {
      buffer.append(kind: UInt8(length + 1), payloadCapacity: length) { memory in
        for index in 0..<length { memory[index] = UInt8(length) }
        return length
      }
    }
    let bytes = buffer.bytesToWrite()
    #expect(bytes.count == buffer.byteCount + RecordBuffer.endBytes)
    var offset = RecordBuffer.frontBytes
    for length in 0..<100 {
      guard case .frame(let frame) = FoundFrame.parse(UnsafeRawBufferPointer(rebasing: bytes[offset...])) else {
        Issue.record("record \(length) is not whole")
        return
      }
      #expect(frame.sequence == Sequence(7 + length) && frame.kind == UInt8(length + 1))
      #expect(Array(frame.payload) == [UInt8](repeating: UInt8(length), count: length))
      offset += frame.bytes
    }
    #expect(offset == buffer.byteCount && bytes[offset...].allSatisfy { $0 == 0 })
  }
}
