// A stream under everything that may go wrong, with one rule: what it says is true.

import Primitives
import ReplicatedStream
import SeededRandom
import Testing

@testable import JetStream

@Suite("a stream under everything that may go wrong")
struct ChaosTests {
  private final class Run {
    let bench: StreamBench
    var random: SplitMix64
    /// What each call was for.
    var appends: [StreamCall: (bytes: [UInt8], expecting: EntrySequence)] = [:]
    var others: Set<StreamCall> = []
    var ended: Set<StreamCall> = []
    var counts: [String: Int] = [:]
    var late: [ModelServer.Request] = []

    init(_ seed: UInt64) {
      random = SplitMix64(seed: seed)
      bench = StreamBench(seed: seed)
      let server = bench.server
      server.appendAsUsual = { [unowned self] request in misbehave(request) }
      server.replicaLag = { [unowned self] in chance(3) ? random.next(below: 4) : 0 }
      server.tailDelaysMs = { [unowned self] in
        chance(4) ? [] : (0...random.next(below: 2)).map { _ in Int64(random.next(below: 50)) }
      }
      server.replyDelayMs = { [unowned self] in
        chance(20) ? Int64(random.next(below: 3000)) : Int64(random.next(below: 5))
      }
      server.readBytesMax = { [unowned self] in chance(2) ? .max : Int(1 + random.next(below: 30)) }
    }

    func chance(_ one: UInt64) -> Bool { random.next(below: one) == 0 }

    /// Whether the server goes on as usual.
    func misbehave(_ request: ModelServer.Request) -> Bool {
      switch random.next(below: 14) {
      case 0: return false  // Lost on the way there.
      case 1: _ = bench.server.store(request)  // The answer is lost.
      case 2: late.append(request)  // Arrives when it was given up.
      case 3: bench.server.reply(request, "NATS/1.0 503\r\n\r\n")
      case 4:
        let answer = bench.server.store(request)
        bench.server.reply(request, answer)
        bench.server.reply(request, answer)
      default: return true
      }
      return false
    }

    func act() {
      switch random.next(below: 12) {
      case 0...5:
        let last = bench.server.last
        for place in 0...random.next(below: 4) {
          let bytes = (0..<(1 + random.next(below: 200))).map { _ in UInt8(truncatingIfNeeded: random.next()) }
          let call = bytes.withBytes { bench.stream.append($0, expecting: last + place) }
          appends[call] = (bytes, last + place)
        }
      case 6, 7:
        others.insert(bench.stream.read(from: 1 + random.next(below: bench.server.last + 3), maxBytes: 1000))
      case 8: others.insert(bench.stream.last())
      case 9: others.insert(bench.stream.truncate(below: 1 + random.next(below: bench.server.last + 2)))
      case 10 where chance(4): bench.stream.client.leaveServer(reason: "chaos")
      case 11 where !late.isEmpty: _ = bench.server.store(late.removeFirst())
      default: break
      }
      bench.turn(afterMs: chance(30) ? 5000 : Int64(random.next(below: 40)))
      judge()
    }

    func judge() {
      for event in bench.events { judge(event) }
      bench.events = []
    }

    private func judge(_ event: StreamEvent) {
      switch event {
      case .appended(let call, let outcome):
        #expect(ended.insert(call).inserted, "one outcome for each call")
        guard let append = appends[call] else { return #expect(Bool(false), "an outcome of a call that was not made") }
        counts["\(outcome)".prefix { $0.isLetter }.description, default: 0] += 1
        if case .stored(let sequence) = outcome {
          #expect(sequence == append.expecting + 1 && isStored(sequence, append.bytes))
        } else if case .refused = outcome {
          // Ours by its bytes, of which there are no two alike worth mentioning.
          #expect(append.bytes.count < 8 || !isStored(append.expecting + 1, append.bytes))
        }
      case .read(let call, let outcome):
        #expect(ended.insert(call).inserted && others.contains(call))
        if case .entries(let entries) = outcome {
          counts["entries", default: 0] += 1
          for (one, next) in zip(entries, entries.dropFirst()) { #expect(next.sequence == one.sequence + 1) }
          for entry in entries {
            #expect(isStored(entry.sequence, entry.bytes) && entry.previous == entry.sequence - 1)
          }
        } else if case .truncated(let first) = outcome {
          #expect(first <= bench.server.first)
        }
      case .last(let call, let outcome):
        #expect(ended.insert(call).inserted && others.contains(call))
        if case .last(let first, let last, _) = outcome {
          #expect(first <= bench.server.first && last <= bench.server.last)
        }
      case .truncated(let call, _): #expect(ended.insert(call).inserted && others.contains(call))
      case .entry(let entry):
        counts["tail", default: 0] += 1
        #expect(isStored(entry.sequence, entry.bytes))
      case .link, .problem: break
      }
    }

    func isStored(_ sequence: EntrySequence, _ bytes: [UInt8]) -> Bool {
      sequence >= 1 && sequence <= bench.server.last && bench.server.stored[Int(sequence) - 1] == bytes
    }
  }

  @Test("what it says is true, and every call ends once", arguments: 0..<40 as Range<UInt64>)
  func chaos(_ seed: UInt64) {
    let run = Run(seed)
    for _ in 0..<300 { run.act() }
    run.bench.server.replyDelayMs = { 0 }
    run.bench.wait(ms: 20_000) {
      run.judge()
      return run.ended.count == run.appends.count + run.others.count
    }
    #expect(run.ended.count == run.appends.count + run.others.count, "a call never ended")
    for outcome in ["stored", "refused", "unknown", "entries", "tail"] {
      #expect(run.counts[outcome, default: 0] > 0, "the run never met '\(outcome)'")
    }
  }
}
