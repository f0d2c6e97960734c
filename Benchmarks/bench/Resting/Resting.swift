// What the commands share that look at a server which has much to remember and nothing to do.

import Glibc
import LineProtocol
import Platform

enum Resting {
  /// Schedules `messages` over a day, from an hour ahead.
  static func loadFar(_ connection: LineConnection, _ flags: Flags, _ report: inout Report) {
    let text = RequestText(topic: "far", bodyBytes: flags.number("body-bytes"))
    let count = flags.number("messages")
    let farMs = SystemClock.wallNs() / 1_000_000 + 3_600_000
    Progress.begin("loading", of: count)
    let startNs = SystemClock.bootNs()
    Load.unanswered(connection, count) { number, acks, out in
      text.schedule(nil, atMs: farMs + Int64(number) * 86_400_000 / Int64(count), acks, to: &out)
    }
    report.add("loaded, without replies", Figures.rate(count, ns: SystemClock.bootNs() - startNs), "messages/s")
  }

  /// Looks on for some seconds.
  static func watch(_ server: ServerProcess, _ connection: LineConnection, seconds: Int, _ report: inout Report) {
    let turns = connection.statistic("turns")
    let cpuNs = server.cpuNs
    Progress.wait("watching", seconds: seconds)
    let usedNs = server.cpuNs - cpuNs
    // One turn is the question itself.
    report.add("turns of the loop in \(seconds) s", connection.statistic("turns") - turns - 1, "")
    report.add("processor time in \(seconds) s", usedNs, "ns")
  }

  static func fillMemory(
    _ moment: String, _ server: ServerProcess, _ emptyBytes: Int, _ count: Int, of thing: String, _ report: inout Report
  ) {
    let bytes = server.residentBytes
    report.add("resident \(moment)", bytes, "B")
    report.add("resident for a \(thing) \(moment)", max(0, bytes - emptyBytes) / max(1, count), "B")
  }
}
