// Where a node goes on, and how much of the stream may go.

import Primitives
import ReplicatedStream
import SeededRandom
import TestSeeds
import Testing

@testable import Cluster

@Suite("marks and truncation") struct MarkTests {
  @Test("a mark reads as it was written, and nothing else does", arguments: Seeds.some(20))
  func roundTrip(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var position = FoldPosition()
    position.streamSequence = random.next()
    position.epoch = random.next()
    position.index = random.next()
    position.chain = random.next()
    position.nextRecord = random.next()
    let name = String(repeating: "s", count: Int(random.next() % 20))
    let mark = LogMark(
      stream: StreamIdentity(name: name, createdNs: Int64(bitPattern: random.next())), position: position)
    let bytes = mark.encoded()
    #expect(LogMark(decoding: bytes) == mark)
    for count in 0..<bytes.count { #expect(LogMark(decoding: Array(bytes[..<count])) == nil) }
    #expect(LogMark(decoding: bytes + [0]) == nil && LogMark(decoding: [1] + bytes.dropFirst()) == nil)
  }

  /// The dumb model beside it: all positions.
  @Test("a checkpoint goes on from a place in front of its next record, near it", arguments: Seeds.some(50))
  func places(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var position = FoldPosition()
    var marks = LogMarks(position)
    var all = [position]
    var released: Sequence = 0
    for _ in 0..<400 {
      position.streamSequence += 1
      position.nextRecord += UInt64.random(in: 0...2, using: &random)
      marks.add(position, bytes: Int.random(in: 100...3000, using: &random))
      all.append(position)
      guard Int.random(in: 0..<20, using: &random) == 0 else { continue }
      let sequence = Sequence.random(in: released...position.nextRecord - 1, using: &random)
      let place = marks.place(before: sequence)
      #expect(place.map { $0.nextRecord <= sequence + 1 && all.contains($0) } == true)
      let best = all.last { $0.nextRecord <= sequence + 1 }
      #expect((best?.streamSequence ?? 0) - (place?.streamSequence ?? 0) < 60)
      marks.forget(upTo: sequence)
      released = sequence
    }
  }

  @Test(
    "the stream goes up to the least checkpoint, with what is kept, without nodes that are silent, by a settled leader")
  func truncation() {
    var settings = TruncationSettings()
    settings.keptBytes = 1000
    settings.silentNs = 100
    settings.waitsNs = 50
    settings.intervalNs = 10
    var truncation = Truncation(settings)
    for sequence in UInt64(1)...100 { truncation.folded(sequence, bytes: 100) }
    #expect(truncation.due(leadsSinceNs: 0, nowNs: 60) == nil)
    truncation.heard(CheckpointNote(node: "a", address: "a:1", streamSequence: 80), nowNs: 60)
    truncation.heard(CheckpointNote(node: "b", address: "b:1", streamSequence: 40), nowNs: 60)
    #expect(truncation.due(leadsSinceNs: 30, nowNs: 79) == nil)
    #expect(truncation.due(leadsSinceNs: 30, nowNs: 80) == 41)
    // Nothing new; then an older word about the same node changes nothing.
    truncation.heard(CheckpointNote(node: "b", address: "b:1", streamSequence: 30), nowNs: 90)
    #expect(truncation.due(leadsSinceNs: 30, nowNs: 90) == nil)
    truncation.heard(CheckpointNote(node: "a", address: "a:1", streamSequence: 99), nowNs: 170)
    // b has said nothing for too long; ten messages are kept.
    #expect(truncation.due(leadsSinceNs: 30, nowNs: 191) == 90)
  }
}
