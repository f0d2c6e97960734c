// The bytes of entries: what is written is read, and nothing else is.

import Cluster
import DecisionLog
import Primitives
import SeededRandom
import TestSeeds
import Testing

@Suite("entries") struct EntryTests {
  @Test("read as they were written", arguments: Seeds.some(50))
  func roundTrip(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let kind = try #require(Entry.Kind.allCases.randomElement(using: &random))
    let entry = Entry(
      kind, epoch: random.next(), index: random.next(), chain: random.next(),
      serviceMs: Int64(bitPattern: random.next()), firstRecord: random.next(),
      endedRecords: UInt32(truncatingIfNeeded: random.next()), goesOn: .random(using: &random))
    let body = (0..<Int.random(in: 0...300, using: &random)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    let message = entry.encoded(body: body[...])
    #expect(Entry(decoding: message) == entry && Array(message[Entry.headerBytes...]) == body)
    // Any flipped bit, and any missing byte, is noticed.
    var spoiled = message
    spoiled[Int.random(in: 0..<message.count, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
    #expect(Entry(decoding: spoiled) == nil)
    #expect(Entry(decoding: Array(message.dropLast(.random(in: 1...message.count, using: &random)))) == nil)
  }

  @Test("a note of a node reads as it was written, and nothing else does")
  func notes() throws {
    var fold = Fold()
    var leader = Leader(behind: fold, node: "n")
    let begin = leader.begin()
    for isReady in [false, true] {
      var writer = leader.writer
      let note = CheckpointNote(node: "knoten", address: "host:1", streamSequence: 77, isReady: isReady)
      let message = writer.checkpointed(note, serviceMs: 1)
      fold = Fold()
      _ = fold.fold(begin, at: 1)
      guard case .valid(_, .checkpointed(note)) = fold.fold(message, at: 2) else {
        Issue.record("a note is not valid")
        return
      }
      let entry = try #require(Entry(decoding: message))
      let body = message[Entry.headerBytes...]
      #expect(body.count == 8 + 1 + 1 + 6 + 6)
      for spoiled in [body.prefix(9), body.prefix(15), body.prefix(8) + [2] + body.dropFirst(9)] {
        fold = Fold()
        _ = fold.fold(begin, at: 1)
        guard case .stop = fold.fold(entry.encoded(body: spoiled), at: 2) else {
          Issue.record("\(spoiled.count) bytes are taken for a note")
          return
        }
      }
    }
  }

  @Test("the table says where each field is")
  func layout() {
    let entry = Entry(
      .records, epoch: 2, index: 3, chain: 4, serviceMs: 5, firstRecord: 6, endedRecords: 7, goesOn: true)
    let message = entry.encoded(body: [9])
    #expect(Array(message[..<4]) == Array("ESCE".utf8) && message.count == 57 && message[56] == 9)
    #expect(Array(message[8..<16]) == [2, 1, 0, 0, 7, 0, 0, 0])
    #expect([16, 24, 32, 40, 48].map { message[$0] } == [2, 3, 4, 5, 6])
  }

  @Test("another chain follows from each change of an entry or of what stands before it")
  func chain() {
    let message = Entry(.heartbeat, epoch: 1, index: 1, chain: 0, serviceMs: 0, firstRecord: 1).encoded(body: [])
    let later = Entry(.heartbeat, epoch: 1, index: 1, chain: 0, serviceMs: 1, firstRecord: 1).encoded(body: [])
    let chains = [
      Entry.chain(behind: message, after: 0), Entry.chain(behind: message, after: 1),
      Entry.chain(behind: later, after: 0),
    ]
    #expect(Set(chains).count == 3)
  }
}
