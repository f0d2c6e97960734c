import Primitives
import ReplicatedStream
import Testing

@testable import JetStream

@Suite("reading a stream")
struct ReadingTests {
  private static func bench(_ count: Int) -> StreamBench {
    let bench = StreamBench()
    #expect(bench.open())
    bench.server.stored = (0..<count).map { Array("entry \($0 + 1)".utf8) }
    return bench
  }

  private static func entries(_ range: ClosedRange<EntrySequence>) -> ReadOutcome {
    .entries(range.map { StreamBench.entry($0, "entry \($0)") })
  }

  @Test("entries come in order from the one that was asked for, about as many bytes as were asked for")
  func entries() {
    let bench = Self.bench(9)
    #expect(bench.read(from: 1) == Self.entries(1...9))
    #expect(bench.read(from: 4, maxBytes: 21) == Self.entries(4...6))
    #expect(bench.read(from: 9, maxBytes: 1) == Self.entries(9...9))
    #expect(bench.read(from: 10) == .nothingYet)
  }

  @Test("a replica that is behind is no end: the stream's leader gives what is there")
  func lagging() {
    let bench = Self.bench(9)
    bench.server.replicaLag = { 5 }
    #expect(bench.read(from: 3) == Self.entries(3...4))
    #expect(bench.read(from: 5) == Self.entries(5...5))
    #expect(bench.read(from: 9) == Self.entries(9...9))
    #expect(bench.read(from: 10) == .nothingYet)
  }

  @Test("what was truncated is said to be, also to who asks for the whole of it")
  func truncated() {
    let bench = Self.bench(9)
    bench.server.first = 5
    #expect(bench.read(from: 1) == .truncated(first: 5))
    #expect(bench.read(from: 4) == .truncated(first: 5))
    #expect(bench.read(from: 5) == Self.entries(5...9))
    bench.server.first = 10
    #expect(bench.read(from: 9) == .truncated(first: 10))
    #expect(bench.read(from: 10) == .nothingYet)
  }

  @Test("what has come before an answer breaks off is given; nothing is unknown")
  func broken() {
    let bench = Self.bench(9)
    func piece(_ sequence: Int) -> String { "NATS/1.0\r\nNats-Sequence: \(sequence)\r\nNats-Last-Sequence: 0\r\n\r\n" }
    func read(_ answers: [String]) -> ReadOutcome? {
      bench.events = []
      bench.server.answerInstead = { $0.subject.contains("DIRECT") ? answers : nil }
      return bench.read(from: 3)
    }
    func empty(_ range: ClosedRange<EntrySequence>) -> ReadOutcome { .entries(range.map { StreamBench.entry($0, "") }) }
    #expect(read([piece(3), piece(4)]) == empty(3...4))
    #expect(read([piece(3), piece(5), piece(6)]) == empty(3...3))
    #expect(read([piece(3), piece(3)]) == empty(3...3))
    #expect(read([piece(3), "NATS/1.0 404 x\r\n\r\n"]) == empty(3...3))
    #expect(read([]) == .unknown)
    #expect(read(["NATS/1.0 503\r\n\r\n"]) == .unknown)
    #expect(read(["NATS/1.0 408 Bad Request\r\n\r\n"]) == .unknown)
    #expect(read(["NATS/1.0 204 EOB\r\n\r\n"]) == .unknown)
    #expect(read([piece(2)]) == .unknown)
    #expect(read(["text"]) == .unknown)
    // A later one first, without a truncation: the leader's own answer.
    #expect(read([piece(7)]) == Self.entries(3...3))
  }

  @Test(
    "a leader that answers nonsense is no answer",
    arguments: [
      "", "{}", #"{"message":{"seq":4,"data":"!"}}"#, #"{"message":{"seq":8,"data":""}}"#,
      #"{"error":{"err_code":10037}}"#,
    ])
  func nonsense(_ answer: String) {
    let bench = Self.bench(9)
    bench.server.replicaLag = { 9 }
    bench.server.answerInstead = { $0.subject.contains("MSG.GET") ? [answer] : nil }
    #expect(bench.read(from: 4) == .unknown)
  }
}
