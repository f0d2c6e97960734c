// Entries on their way: what is committed, what is sent again, and when.

import DecisionLog
import Primitives
import ReplicatedStream
import Testing

@testable import Cluster

@Suite("the window of a leader") struct WindowTests {
  /// A window with entries on their way behind the beginning of an epoch, which is message 1.
  private struct Sent {
    var window: EntryWindow
    var calls: [(message: [UInt8], expecting: EntrySequence)] = []

    init(entries: Int) {
      var writer = EntryWriter(behind: FoldPosition(), newEpoch: true)
      _ = writer.begin(EpochStart(identity: someIdentity, node: "n", address: ""), serviceMs: 0)
      window = EntryWindow(writer)
      for _ in 0..<entries { window.add { $0.heartbeat(serviceMs: 1) } }
      send(behind: 1, nowNs: 100)
    }

    mutating func send(behind end: EntrySequence, nowNs: Int64) {
      var sent: [([UInt8], EntrySequence)] = []
      let before = calls.count
      window.send(behind: end, nowNs: nowNs) { message, expecting in
        sent.append((message, expecting))
        return StreamCall(UInt64(before + sent.count))
      }
      calls += sent
    }

    mutating func take(_ outcome: AppendOutcome, ofCall number: UInt64) {
      let isMine = window.take(outcome, of: StreamCall(number))
      #expect(isMine)
    }
  }

  @Test("sends each entry behind the one before it, four at most")
  func pipeline() {
    var sent = Sent(entries: 3)
    #expect(sent.calls.map(\.expecting) == [1, 2, 3] && sent.window.hasRoom)
    sent.window.add { $0.heartbeat(serviceMs: 2) }
    #expect(!sent.window.hasRoom)
    sent.send(behind: 1, nowNs: 200)
    #expect(sent.calls.map(\.expecting) == [1, 2, 3, 4])
  }

  @Test("tells of the first entry alone that it is stored")
  func inOrder() {
    var sent = Sent(entries: 3)
    sent.take(.stored(3), ofCall: 2)
    #expect(sent.window.nextStored == nil)
    sent.take(.stored(2), ofCall: 1)
    #expect(sent.window.nextStored?.index == 1)
    #expect(sent.window.commit(through: 1)?.index == 1 && sent.window.nextStored?.index == 2)
  }

  @Test(
    "sends nothing after any other outcome, until all have come and the rest is settled; then the same bytes",
    arguments: [.refused(last: 7), .unknown, .full, .stored(9)] as [AppendOutcome])
  func trouble(outcome: AppendOutcome) {
    var sent = Sent(entries: 3)
    sent.take(outcome, ofCall: 2)
    #expect(sent.window.isTroubled && !sent.window.canSettle && !sent.window.hasRoom)
    sent.take(.stored(2), ofCall: 1)
    #expect(!sent.window.canSettle)
    sent.take(.unknown, ofCall: 3)
    #expect(sent.window.canSettle)
    sent.send(behind: 1, nowNs: 300)
    #expect(sent.calls.count == 3)
    // The fold has the first, and something void behind it.
    _ = sent.window.commit(through: 1)
    sent.window.settle()
    sent.send(behind: 3, nowNs: 400)
    #expect(sent.calls.map(\.expecting) == [1, 2, 3, 3, 4])
    #expect(sent.calls[3].message == sent.calls[1].message && sent.calls[4].message == sent.calls[2].message)
  }

  @Test("counts the lease from the first time an entry was sent: what was stored may be that copy")
  func firstSent() {
    var sent = Sent(entries: 1)
    sent.take(.unknown, ofCall: 1)
    sent.window.settle()
    sent.send(behind: 1, nowNs: 900)
    #expect(sent.calls.count == 2 && sent.window.pending[0].firstSentNs == 100)
  }

  @Test("waits for the outcome of an entry, even when the tail has brought it meanwhile")
  func broughtByTheTail() {
    var sent = Sent(entries: 2)
    _ = sent.window.commit(through: 1)
    sent.take(.refused(last: nil), ofCall: 2)
    #expect(!sent.window.canSettle)
    sent.take(.unknown, ofCall: 1)
    #expect(sent.window.canSettle)
  }

  @Test("bodies end where records end, and a long record stands in parts of its own")
  func bodies() {
    var queue = FrameQueue()
    let buffer = RecordBuffer()
    for length in [10, 300, 10, 10] {
      buffer.begin(3)
      for _ in 0..<length { buffer.append(UInt8(1)) }
      buffer.finish()
    }
    let frames = [10, 300, 10, 10].map { Frame.bytes(payloadBytes: $0) }
    queue.append(buffer)
    var bodies: [(Int, Int, Bool)] = []
    while !queue.isEmpty {
      let body = queue.takeBody(bytesMax: 200)
      bodies.append((body.bytes.count, body.endedRecords, body.goesOn))
    }
    let expected = [(frames[0], 1, false), (200, 0, true), (frames[1] - 200, 1, false), (frames[2] * 2, 2, false)]
    #expect(bodies.map(\.0) == expected.map(\.0) && bodies.map(\.1) == expected.map(\.1))
    #expect(bodies.map(\.2) == expected.map(\.2))
  }
}
