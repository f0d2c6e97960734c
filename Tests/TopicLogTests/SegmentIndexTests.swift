// The index files of sealed segments: a start goes by a good one, and reads the segment where there is only a bad one.

import DataFiles
import Primitives
import SimulatedDisk
import Testing

@testable import TopicLog

@Suite("index files of segments")
struct SegmentIndexTests {
  /// A log whose first segment is sealed and has several chunks; messages are released 10 ms after each other.
  private func logWithASealedSegment(disk: SimulatedStorage = SimulatedStorage()) -> LogUnderTest {
    let test = LogUnderTest(disk: disk)
    for place in 0..<12 { test.append(60, releasedMs: Int64(place) * 10) }
    return test
  }

  private static let index = TopicLog.indexPath(TopicLog.path(7, segment: 0))

  @Test("one with a damaged byte is not believed: everything is found as before")
  func damaged() throws {
    let test = logWithASealedSegment()
    var unsynced: [String] = []
    let states = test.log.checkpoint(unsynced: &unsynced)
    #expect(test.io.drain() == nil)
    try #require(states.count > 1 && states[0].isSealed)
    let bytes = try #require(test.disk.contents(Self.index))
    for place in bytes.indices {
      let again = LogUnderTest(disk: test.disk.copy())
      again.disk.flip(bit: place % 8, of: Self.index, at: place)
      try again.log.recover(
        states, nextOffset: 12, lastReleasedMs: test.log.lastReleasedMs, files: OpenFiles(storage: again.disk))
      again.model = test.model
      again.check()
      for offset in 0..<12 as Range<TopicOffset> {
        #expect(again.log.offset(atOrAfterMs: UnixMs(offset) * 10) == offset, "byte \(place)")
      }
    }
  }

  @Test("one takes the place of a longer one that an earlier life of its segment has left")
  func longerBefore() throws {
    let disk = SimulatedStorage()
    disk.place(Self.index, [UInt8](repeating: 1, count: 4096))
    let test = logWithASealedSegment(disk: disk)
    #expect(test.io.drain() == nil)
    let bytes = try #require(disk.contents(Self.index))
    let segmentBytes = try #require(disk.contents(TopicLog.path(7, segment: 0))).count
    let found = bytes.withUnsafeBytes {
      SegmentIndex.decode($0, baseOffset: 0, segmentLength: segmentBytes, start: QueueCounts())
    }
    #expect(found != nil, "a start would read the whole segment")
  }
}
