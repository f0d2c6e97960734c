import Primitives
import ReplicatedStream
import Testing

@testable import JetStream

@Suite("calls of a stream")
struct CallTests {
  private static let sequenceError =
    #"{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 7"},"seq":0}"#

  private static func error(_ number: Int, _ text: String = "x") -> String {
    #"{"error":{"code":503,"err_code":\#(number),"description":"\#(text)"},"stream":"ESC-0","seq":0}"#
  }

  @Test("an entry is stored behind the one that it expects, and comes by the tail")
  func append() {
    let bench = StreamBench()
    #expect(bench.open())
    #expect(bench.append("a", expecting: 0) == .stored(1))
    #expect(bench.append("b", expecting: 1) == .stored(2))
    #expect(bench.append("c", expecting: 1) == .refused(last: 2))
    #expect(bench.events.contains(.entry(StreamBench.entry(2, "b"))))
    #expect(bench.server.stored == [Array("a".utf8), Array("b".utf8)])
  }

  @Test("four in flight, and somebody else's entry in place of the first: the later ones may be stored behind it")
  func placeTaken() {
    let bench = StreamBench()
    #expect(bench.open())
    bench.server.stored = [[1], [2]]
    bench.server.stored.append(Array("epoch".utf8))
    var outcomes: [AppendOutcome] = []
    let calls = (2...5).map { last in "e\(last)".withBytes { bench.stream.append($0, expecting: EntrySequence(last)) } }
    bench.wait { bench.events.count { if case .appended = $0 { true } else { false } } == 4 }
    for call in calls {
      for case .appended(call, let outcome) in bench.events { outcomes.append(outcome) }
    }
    #expect(outcomes == [.refused(last: 3), .stored(4), .stored(5), .stored(6)])
  }

  @Test(
    "what an answer to an append means",
    arguments: [
      (#"{"stream":"ESC-0","seq":1}"#, AppendOutcome.stored(1)), (sequenceError, .refused(last: 7)),
      (error(10071, "wrong last sequence"), .refused(last: nil)), (error(10077), .full), (error(10023), .unknown),
      (error(10047), .unknown), (error(10008), .unknown), (error(10009), .unknown), (error(99999), .unknown),
      ("NATS/1.0 503\r\n\r\n", .unknown), (#"{"stream":"ESC-0","seq":9}"#, .unknown),
      (#"{"stream":"OTHER","seq":1}"#, .unknown), (#"{"stream":"ESC-0","seq":1,"duplicate":true}"#, .unknown),
      ("", .unknown), ("garbage", .unknown), ("[]", .unknown), (#"{"seq":-1}"#, .unknown), ("{}", .unknown),
    ])
  func appendOutcomes(_ answer: String, _ outcome: AppendOutcome) {
    let bench = StreamBench()
    #expect(bench.open())
    bench.server.answerInstead = { $0.subject == "esc.0" ? [answer] : nil }
    #expect(bench.append("a", expecting: 0) == outcome)
    let lacksRoom = answer.contains("10023") || answer.contains("10047")
    #expect(bench.problems.count == (lacksRoom ? 1 : 0), "\(bench.problems)")
  }

  @Test("an append without an answer is unknown after its time; one without a connection at once")
  func unknown() {
    let bench = StreamBench()
    #expect(bench.open())
    bench.server.appendAsUsual = { _ in false }
    let beganMs = bench.nowMs
    #expect(bench.append("a", expecting: 0) == .unknown)
    #expect(bench.nowMs - beganMs >= 1000 && bench.nowMs - beganMs < 1100)
    bench.stream.client.leaveServer(reason: "test")
    let call = "b".withBytes { bench.stream.append($0, expecting: 0) }
    bench.events = []
    bench.turn()
    #expect(
      bench.events == [.link(.away), .appended(call, .unknown)]
        || bench.events == [.appended(call, .unknown), .link(.away)])
  }

  @Test("while the link is away every call comes to nothing, with the next turn and not before, and nothing is sent")
  func away() {
    let bench = StreamBench()
    // Connected, but the stream is not found good.
    bench.server.answerInstead = { $0.subject.contains("INFO") ? [] : nil }
    bench.wait { !bench.server.requests.isEmpty }
    #expect(bench.stream.link == .away && bench.stream.client.isConnected)
    let before = bench.server.requests.count
    let append = "a".withBytes { bench.stream.append($0, expecting: 0) }
    let (read, last, cut) = (
      bench.stream.read(from: 1, maxBytes: 1), bench.stream.last(), bench.stream.truncate(below: 2)
    )
    #expect(bench.stream.nextEvent() == nil && bench.stream.nextTurnMs <= bench.nowMs)
    bench.turn()
    #expect(
      bench.events == [
        .appended(append, .unknown), .read(read, .unknown), .last(last, .unknown), .truncated(cut, .unknown),
      ])
    #expect(bench.server.requests.count == before && bench.server.stored.isEmpty)
  }

  @Test("the link is away behind the outcomes of all that was in flight")
  func lost() {
    let bench = StreamBench()
    #expect(bench.open())
    bench.server.answerInstead = { _ in [] }
    let append = "a".withBytes { bench.stream.append($0, expecting: 0) }
    let (read, last, cut) = (
      bench.stream.read(from: 1, maxBytes: 1), bench.stream.last(), bench.stream.truncate(below: 2)
    )
    bench.turn()
    bench.events = []
    bench.stream.client.leaveServer(reason: "test")
    bench.turn()
    #expect(
      bench.events == [
        .appended(append, .unknown), .read(read, .unknown), .last(last, .unknown), .truncated(cut, .unknown),
        .link(.away),
      ])
  }

  @Test("a full stream says so, and goes on after a truncation")
  func full() {
    let bench = StreamBench()
    #expect(bench.open())
    bench.server.bytesMax = 2
    #expect(bench.append("a", expecting: 0) == .stored(1))
    #expect(bench.append("b", expecting: 1) == .stored(2))
    #expect(bench.append("c", expecting: 2) == .full)
    #expect(bench.truncate(below: 2) == .done)
    #expect(bench.append("c", expecting: 2) == .stored(3))
  }

  @Test("a truncation goes in steps of about 8 MB, and never takes the last entry", arguments: [5, 40, 41, 99])
  func truncation(_ below: EntrySequence) {
    let bench = StreamBench()
    #expect(bench.open())
    bench.server.stored = Array(repeating: [UInt8](repeating: 7, count: 1 << 20), count: 40)
    #expect(bench.truncate(below: below) == .done)
    #expect(bench.server.first == min(below, 40))
    #expect(zip([1] + bench.server.purges, bench.server.purges).allSatisfy { $1 > $0 && $1 - $0 <= 8 })
    #expect(bench.truncate(below: 3) == .done)
    #expect(bench.server.first == min(below, 40))
    bench.server.answerInstead = { $0.subject.contains("PURGE") ? [Self.error(10052)] : nil }
    #expect(bench.truncate(below: 1000) == (below < 40 ? .unknown : .done))
  }

  @Test("bounds of streams: new, filled, empty again")
  func bounds() {
    let bench = StreamBench()
    #expect(bench.open())
    #expect(bench.last() == .last(first: 1, last: 0, bytes: 0))
    bench.server.stored = [[1], [2, 2], [3]]
    #expect(bench.last() == .last(first: 1, last: 3, bytes: 4))
    bench.server.first = 4
    #expect(bench.last() == .last(first: 4, last: 3, bytes: 0))
    for nonsense in [
      "", "{}", #"{"created":"x","state":{"messages":1,"first_seq":9,"last_seq":3}}"#, "NATS/1.0 503\r\n\r\n",
    ] {
      bench.events = []
      bench.server.answerInstead = { $0.subject.contains("INFO") ? [nonsense] : nil }
      #expect(bench.last() == .unknown)
    }
  }

  @Test("a tail takes nothing that is not the stream's, and nothing while the link is away")
  func tail() {
    let bench = StreamBench()
    #expect(bench.open())
    bench.events = []
    for headers in [
      "Nats-Stream: OTHER\r\nNats-Sequence: 2\r\nNats-Last-Sequence: 1", "Nats-Stream: ESC-0\r\nNats-Sequence: 2",
      "Nats-Stream: ESC-0\r\nNats-Sequence: 2\r\nNats-Last-Sequence: 2",
      "Nats-Stream: ESC-0\r\nNats-Sequence: x\r\nNats-Last-Sequence: 1", "Nats-Sequence: 2\r\nNats-Last-Sequence: 1",
    ] {
      bench.server.sayTail("NATS/1.0\r\n\(headers)\r\n\r\n", [1])
    }
    bench.server.sayTail("NATS/1.0\r\nNats-Stream: ESC-0\r\nNats-Sequence: 5\r\nNats-Last-Sequence: 3\r\n\r\n", [9])
    bench.turn()
    #expect(bench.events == [.entry(StreamEntry(sequence: 5, previous: 3, bytes: [9]))])
  }
}
