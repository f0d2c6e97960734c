// `bench precision`: how late messages reach a consumer while many others are pending.
//
// Lateness of a message is the wall time at which the read that brought its line returned, minus its `deliverAtMs`.
// Holds: exit code 1 when a message came early, twice or not at all.

import Glibc
import LineProtocol
import Platform
import Primitives

enum PrecisionBenchmark {
  private static let help = """
    bench precision [flags]

      --pending N      messages that stay pending all the time (100000)
      --rate N         messages due in a second, evenly spread (5000)
      --seconds N      how long (20)
      --body-bytes N   size of a body (128)
      --feed 0|1       whether every released message is replaced by a new one at the same pace (1)
    \(Flags.serverHelp)
    """

  static func run(arguments: [String]) {
    let flags = Flags(
      arguments,
      defaults: Flags.serverDefaults([
        "pending": "100000", "rate": "5000", "seconds": "20", "body-bytes": "128", "feed": "1",
      ]), help: help)
    let rate = flags.number("rate")
    let count = rate * flags.number("seconds")
    let loadS = max(count, flags.number("pending")) / Load.usualMessagesPerSecond
    sayExpected(seconds: loadS + 1 + count / 50_000 + flags.number("seconds"))
    let server = ServerProcess(flags)
    defer { server.stop() }
    let text = RequestText(topic: "precision", bodyBytes: flags.number("body-bytes"))
    let reader = GroupReader(server, text, timeoutS: 10)
    let loader = LineConnection(server)
    let far = SystemClock.wallNs() / 1_000_000 + 3_600_000
    Load.unanswered(loader, max(0, flags.number("pending") - count)) { number, acks, out in
      text.schedule(count + number, atMs: far + Int64(number), acks, to: &out)
    }
    // The measured ones are loaded last, at most half a second for 100 000, and begin when all are there.
    let startMs = SystemClock.wallNs() / 1_000_000 + 1000 + Int64(count / 50)
    Load.unanswered(loader, count) { number, acks, out in
      text.schedule(number, atMs: startMs + Int64(number * 1000 / rate), acks, to: &out)
    }
    if SystemClock.wallNs() / 1_000_000 > startMs { fail("loading took too long; take fewer messages") }
    server.pause(flags)
    let feeder = flags.number("feed") == 0 ? nil : feed(loader, text, count, rate, startMs)
    measure(server, reader, startMs, count, rate)
    feeder?.join()
  }

  /// Schedules a far message for every one that leaves, once a millisecond.
  private static func feed(
    _ connection: LineConnection, _ text: RequestText, _ count: Int, _ rate: Int, _ startMs: Int64
  ) -> Thread? {
    try? Thread(name: "feed") {
      var sent = 0
      var out = ByteBuffer(capacity: 64 << 10)
      while sent < count {
        SystemClock.pause(ns: 1_000_000)
        let due = min(count, Int(max(0, SystemClock.wallNs() / 1_000_000 - startMs)) * rate / 1000)
        while sent < due {
          text.schedule(nil, atMs: startMs + 7_200_000 + Int64(sent), .none, to: &out)
          sent += 1
        }
        connection.send(&out)
      }
    }
  }

  private static func measure(
    _ server: ServerProcess, _ reader: GroupReader, _ startMs: Int64, _ count: Int, _ rate: Int
  ) {
    var latenessNs: [Int64] = []
    latenessNs.reserveCapacity(count)
    var seen = [Bool](repeating: false, count: count)
    var faults = (early: 0, twice: 0, wrong: 0)
    while SystemClock.wallNs() / 1_000_000 < startMs - 5 { SystemClock.pause(ns: 1_000_000) }
    let cpuBefore = server.cpuNs
    let isComplete = reader.receive(until: count) { line, offsetEnd, readNs in
      var place = offsetEnd
      let id = LineScan.number(after: "\"id\":\"", in: line, &place) ?? -1
      let dueMs = LineScan.number(after: "\"deliverAtMs\":", in: line, &place) ?? -1
      guard id >= 0, id < count, dueMs == Int(startMs) + id * 1000 / rate else {
        faults.wrong += 1
        return
      }
      if seen[id] { faults.twice += 1 }
      seen[id] = true
      let lateNs = readNs - Int64(dueMs) * 1_000_000
      if lateNs < 0 { faults.early += 1 }
      latenessNs.append(lateNs)
    }
    let cpuNs = server.cpuNs - cpuBefore
    let missing = seen.filter { !$0 }.count
    say("precision: \(rate) due a second, \(count) measured, load \(Figures.machineLoad())")
    if !latenessNs.isEmpty { say("  lateness  \(Figures.distribution(ns: latenessNs))") }
    say("  rate      \(Figures.rate(reader.received, ns: reader.lastReadNs - startMs * 1_000_000)) a second")
    say("  server    \(Figures.seconds(ns: cpuNs)) of processor time")
    say("  early \(faults.early)  twice \(faults.twice)  wrong \(faults.wrong)  missing \(missing)")
    if !isComplete || missing > 0 || faults.early + faults.twice + faults.wrong > 0 {
      server.stop()
      exit(1)
    }
  }
}
