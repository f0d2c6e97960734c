// `bench burst`: many messages due in the same millisecond, and one of another topic due a millisecond later.

import Glibc
import LineProtocol
import Platform

enum BurstBenchmark {
  private static let help = """
    bench burst [flags]

      --messages N     messages of the burst (100000)
      --rounds N       bursts; the median is shown (5)
      --body-bytes N   size of a body (128)
    \(Flags.serverHelp)
    """

  static func run(arguments: [String]) {
    let flags = Flags(
      arguments, defaults: Flags.serverDefaults(["messages": "100000", "rounds": "5", "body-bytes": "128"]), help: help)
    let count = flags.number("messages")
    let rounds = max(1, flags.number("rounds"))
    let leadMs = 1500 + Int64(count / 100)
    sayExpected(seconds: rounds * (Int(leadMs) + count / 200) / 1000)
    let server = ServerProcess(flags)
    defer { server.stop() }
    let burst = RequestText(topic: "burst", bodyBytes: flags.number("body-bytes"))
    let other = RequestText(topic: "other", bodyBytes: 16)
    let burstReader = GroupReader(server, burst)
    let otherReader = GroupReader(server, other)
    let loader = LineConnection(server)
    server.pause(flags)
    var lastNs: [Int64] = []
    var otherNs: [Int64] = []
    var cpuNs: [Int64] = []
    for round in 1...rounds {
      let dueMs = SystemClock.wallNs() / 1_000_000 + leadMs
      Load.unanswered(loader, count) { _, acks, out in burst.schedule(nil, atMs: dueMs, acks, to: &out) }
      Load.unanswered(loader, 1) { _, acks, out in other.schedule(nil, atMs: dueMs + 1, acks, to: &out) }
      if SystemClock.wallNs() / 1_000_000 > dueMs { fail("loading took too long; take fewer messages") }
      let cpuBefore = server.cpuNs
      let thread = try? Thread(name: "other") { if !otherReader.receive(until: round) { fail("the other is missing") } }
      guard burstReader.receive(until: round * count), burstReader.outOfOrder == 0 else { fail("the burst has gaps") }
      thread?.join()
      lastNs.append(burstReader.lastReadNs - dueMs * 1_000_000)
      otherNs.append(otherReader.lastReadNs - (dueMs + 1) * 1_000_000)
      cpuNs.append(server.cpuNs - cpuBefore)
      say("round \(round): last one received after \(Figures.ms(ns: lastNs[round - 1]))")
    }
    say("burst: \(count) due in one millisecond, load \(Figures.machineLoad())")
    say("  last one received after    \(Figures.distribution(ns: lastNs))")
    say("  another topic's, late by   \(Figures.distribution(ns: otherNs))")
    say("  server                     \(cpuNs.sorted()[cpuNs.count / 2] / Int64(count)) ns a message")
  }
}
