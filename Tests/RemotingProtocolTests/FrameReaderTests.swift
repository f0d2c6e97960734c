// Cutting frames.

import Primitives
import Testing

@testable import RemotingProtocol

@Suite("the frame reader")
struct FrameReaderTests {
  @Test("a frame comes out whole wherever the reads cut it")
  func everyCut() throws {
    let first = frame(Array(#"{"code":35}"#.utf8), body: Array("body".utf8))
    let second = frame([0, 1], type: 1)
    let stream = first + second
    for cut in 0...stream.count {
      var reader = RemotingFrameReader()
      var seen: [[UInt8]] = []
      for piece in [Array(stream[..<cut]), Array(stream[cut...])] {
        piece.withBytes { reader.append($0) }
        while let next = try reader.next() {
          seen.append(frame(Array(next.header), body: Array(next.body), type: next.serialization.rawValue))
        }
      }
      #expect(seen == [first, second], "cut at \(cut)")
    }
  }

  @Test("a frame that cannot be is refused as soon as its bytes say so, and nothing comes after it")
  func impossibleFrames() {
    let cases: [([UInt8], RemotingError)] = [
      (layout(UInt32(101)), .frameTooLong(bytes: 101, bytesMax: 100)),
      (layout(UInt32.max), .frameTooLong(bytes: 4_294_967_295, bytesMax: 100)),
      (layout(UInt32(3)), .headerOutsideFrame(headerBytes: 0, frameBytes: 3)),
      (layout(UInt32(0)), .headerOutsideFrame(headerBytes: 0, frameBytes: 0)),
      (layout(UInt32(10), UInt32(7)), .headerOutsideFrame(headerBytes: 7, frameBytes: 10)),
      (layout(UInt32(10), UInt32(0x0200_0002)), .unknownSerialization(2)),
      (layout(UInt32(10), UInt32(0xFF00_0002)), .unknownSerialization(255)),
    ]
    for (start, expected) in cases {
      var reader = RemotingFrameReader(frameBytesMax: 100)
      start.withBytes { reader.append($0) }
      for _ in 0..<2 {
        var thrown: RemotingError?
        do throws(RemotingError) { _ = try reader.next() } catch { thrown = error }
        #expect(thrown == expected)
        frame(Array("{}".utf8)).withBytes { reader.append($0) }
        #expect(reader.bufferedBytes == 0)
      }
      #expect(expected.closesConnection)
    }
  }

  @Test("a frame may be as long as the bound, and have an empty header or body")
  func edges() throws {
    var reader = RemotingFrameReader(frameBytesMax: 100)
    for edge in [
      frame([], body: []), frame([], body: [UInt8](repeating: 7, count: 96)), frame([UInt8](repeating: 7, count: 96)),
    ] {
      edge.withBytes { reader.append($0) }
      let read = try #require(try reader.next())
      #expect(frame(Array(read.header), body: Array(read.body)) == edge)
    }
  }

  @Test("an announced length takes no memory before its bytes come")
  func announcedLength() throws {
    var reader = RemotingFrameReader()
    layout(UInt32(16 << 20), UInt32(10)).withBytes { reader.append($0) }
    #expect(try reader.next() == nil)
    #expect(reader.allocatedBytes < 4096)
  }
}
