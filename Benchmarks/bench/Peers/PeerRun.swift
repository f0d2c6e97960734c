// The same work asked of every peer: messages scheduled as fast as replies come, messages scheduled one at a time, and messages that
// fall due at a pace while somebody listens.

import Platform
import Primitives

/// What a peer has shown in one round.
struct PeerFindings: Sendable {
  /// Messages scheduled a second, each answered.
  var perSecond = 0.0
  /// Time of each request, when the next one waits for its answer.
  var single = LatencyHistogram()
  /// From due time until received.
  var lateness = LatencyHistogram()
  var received: RateSeries?
  var faults: [String] = []
}

enum PeerRun {
  /// An hour ahead: none of these falls due during the run.
  private static let farMs = 3_600_000
  /// Whole seconds, since beanstalkd knows no others.
  private static let delayMs = 2000

  /// - Parameter rate: messages falling due in a second; nil: as the flags say.
  static func measure(_ peer: any Peer, _ flags: Flags, _ name: String, rate: Int? = nil) -> PeerFindings {
    var findings = PeerFindings()
    // First the time that matters most, with nothing else pending.
    lateness(
      peer, rate: max(1, rate ?? flags.number("rate")), seconds: max(1, flags.number("seconds")), name, &findings)
    let singles = max(1, flags.number("single"))
    Progress.begin("\(name): one at a time", of: singles)
    findings.single = schedule(peer, singles, window: 1).times
    let count = max(1, flags.number("messages"))
    Progress.begin("\(name): scheduling", of: count)
    let startNs = SystemClock.bootNs()
    _ = schedule(peer, count, window: max(1, flags.number("window")))
    findings.perSecond = Figures.rate(count, ns: SystemClock.bootNs() - startNs)
    return findings
  }

  private static func schedule(_ peer: any Peer, _ count: Int, window: Int) -> Load.Answers {
    let scheduler = peer.scheduler()
    return Load.answered(
      scheduler.connection, count, window: window, write: { scheduler.schedule($0, delayMs: farMs, to: &$1) },
      endPiece: { scheduler.endPiece(to: &$0) }, takeReplies: scheduler.takeReplies)
  }

  private static func lateness(
    _ peer: any Peer, rate: Int, seconds: Int, _ name: String, _ findings: inout PeerFindings
  ) {
    let count = rate * seconds
    Progress.begin("\(name): receiving at the pace", of: count)
    let receiver = Listening(peer.receiver(), count)
    let endNs = SystemClock.bootNs() + Int64(seconds * 2 + delayMs / 1000 + 20) * 1_000_000_000
    let thread = try? Thread(name: "receiver") { receiver.run(until: endNs) }
    pace(peer.scheduler(), rate: rate, count: count)
    thread?.join()
    findings.lateness = receiver.lateness
    findings.received = receiver.received
    let missing = receiver.seen.filter { !$0 }.count
    if receiver.lateness.early > 0 { findings.faults.append("\(name): \(receiver.lateness.early) came early") }
    if missing > 0 { findings.faults.append("\(name): \(missing) of \(count) did not come in time") }
    if receiver.twice > 0 { findings.faults.append("\(name): \(receiver.twice) came twice") }
  }

  /// Schedules at a pace, whatever becomes of the replies; when the connection is slow, what was held up is sent at once.
  private static func pace(_ scheduler: any PeerScheduler, rate: Int, count: Int) {
    var out = ByteBuffer(capacity: 64 << 10)
    let startNs = SystemClock.bootNs()
    var (sent, answered) = (0, 0)
    while answered < count {
      let due = min(count, Int((SystemClock.bootNs() - startNs) / 1_000_000) * rate / 1000)
      while sent < due {
        scheduler.schedule(sent, delayMs: delayMs, to: &out)
        sent += 1
      }
      scheduler.endPiece(to: &out)
      scheduler.connection.send(&out)
      guard scheduler.connection.waits(ms: sent < count ? 1 : 60_000) else {
        if sent == count { fail("replies stopped coming") }
        continue
      }
      guard scheduler.connection.receive() else { fail("the connection ended") }
      answered += scheduler.takeReplies()
    }
  }

  /// What the receiving thread sees.
  private final class Listening: @unchecked Sendable {
    private let receiver: any PeerReceiver
    private(set) var lateness = LatencyHistogram()
    private(set) var received = RateSeries(startNs: SystemClock.wallNs())
    private(set) var seen: [Bool]
    private(set) var twice = 0

    init(_ receiver: any PeerReceiver, _ count: Int) {
      self.receiver = receiver
      seen = [Bool](repeating: false, count: count)
    }

    func run(until endNs: Int64) {
      while lateness.count < seen.count, SystemClock.bootNs() < endNs {
        receiver.receive { bytes in
          let nowNs = SystemClock.wallNs()
          PeerBody.scan(bytes) { number, dueMs in
            guard seen.indices.contains(number) else { return }
            if seen[number] { twice += 1 }
            seen[number] = true
            lateness.record(nowNs - dueMs * 1_000_000)
            received.add(1, atNs: nowNs)
            Progress.advance(1)
          }
        }
      }
    }
  }
}
