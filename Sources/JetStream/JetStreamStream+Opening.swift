// From a connection to a stream that is as it must be.
//
// Holds: nothing is read or written before the stream, its identity and the servers' way of writing are found good. Whatever
// is not good ends the connection, and all is looked at again on the next one: an operator may have put it right.
// Leaves to others: the order of servers (NATSClient).

import NATS
import Primitives
import ReplicatedStream

extension JetStreamStream {
  private static let reportSubject = "$SYS.REQ.SERVER.PING.JSZ"
  // Servers answer in a few ms; one that does not may be down, and shall not hold up the others for long.
  private static let reportTimeoutMs: Int64 = 500
  private static let reportEveryMs: Int64 = 60_000
  /// Before all is looked at again: when nothing has answered, and when something is not as it must be.
  private static let (retryMs, problemRetryMs): (Int64, Int64) = (250, 1000)
  /// An election takes up to 9 s, and is no problem; that no server takes us is one sooner.
  private static let (silenceProblemMs, connectionProblemMs): (Int64, Int64) = (15_000, 3000)

  func beginOpening() {
    if let problem = Problem.ofServer(client.info) { return giveUp(problem) }
    opening = .looking
    askBounds(for: .look)
  }

  /// Nothing is known that somebody would have to put right: try again.
  func tryAgain(_ reason: String) {
    tellIfLong(reason, Self.silenceProblemMs)
    client.leaveServer(reason: reason, pauseMs: Self.retryMs)
  }

  /// Tells why the stream is away, when it is for so long, unless it was told what is wrong.
  private func tellIfLong(_ reason: String, _ limitMs: Int64) {
    if awaySinceMs == nil { awaySinceMs = nowMs }
    guard let awaySinceMs, nowMs &- awaySinceMs >= limitMs, told.isEmpty else { return }
    tell(Problem.unreachable(settings, reason))
  }

  func giveUp(_ problem: String) {
    tell(problem)
    client.leaveServer(reason: problem, pauseMs: Self.problemRetryMs)
  }

  /// What is known about the stream, from a question or from making it.
  func takeLook(_ json: UnsafeRawBufferPointer, wasMade: Bool) {
    guard let info = StreamInfo(json, jsonReader) else {
      return tryAgain("an answer about the stream that cannot be understood")
    }
    if let error = info.error { return takeError(error, wasMade: wasMade) }
    if let shards = info.configuration.otherShards(than: settings) {
      return giveUp(Problem.otherCluster(settings, shards: shards))
    }
    let differences = info.configuration.differences(from: settings)
    guard differences.isEmpty else { return giveUp(Problem.different(settings, differences)) }
    guard let createdNs = ExactTime.unixNs(info.created) else {
      return tryAgain("the stream does not say when it was made")
    }
    let found = StreamIdentity(name: settings.name, createdNs: createdNs)
    guard known == nil || known == found else { return giveUp(Problem.replaced(settings)) }
    identity = found
    peers = info.peers.isEmpty ? [client.info?.name ?? ""] : info.peers
    opening = .asking
    guard settings.mustSyncAlways else { return open() }
    askForReports()
    // Servers that were good are asked again beside the work: a takeover shall not wait for one that is down.
    if wasGood { open() }
  }

  private func takeError(_ error: StreamError, wasMade: Bool) {
    guard !StreamError.passing.contains(error.number) else { return tryAgain(error.words) }
    if wasMade { return giveUp(Problem.notMade(settings, error)) }
    guard error.number == StreamError.noSuchStream else { return tryAgain(error.words) }
    // A stream that was there and is gone is never made again: that would hide the loss.
    guard settings.mayCreate, known == nil else { return giveUp(Problem.missing(settings, isKnown: known != nil)) }
    ask("STREAM.CREATE", StreamConfiguration.text(settings), timeoutMs: settings.purgeTimeoutMs, for: .make)
  }

  /// The stream that was there before, in this life or an earlier one.
  private var known: StreamIdentity? { identity ?? settings.identity }

  private func open() {
    opening = .open
    link = .connected
    awaySinceMs = nil
    told = []
    events.append(.link(.connected))
  }

  // MARK: How the servers write

  func askForReports() {
    reports = []
    nextReportMs = nowMs &+ Self.reportEveryMs
    "{}".withBytes {
      ask(Self.reportSubject, $0, timeoutMs: Self.reportTimeoutMs, takesSeveral: true, for: .report)
    }
  }

  /// One server's report; the last one ends the question.
  func takeReport(_ message: NATSMessage, _ call: NATSCall) {
    // 503 when nobody answers on this subject, which means that it is not imported.
    if message.headers.status == 0, let report = ServerReport(message.payload, jsonReader),
      peers.contains(report.name), !reports.contains(where: { $0.name == report.name })
    {
      reports.append(report)
    }
    guard message.headers.status != 0 || reports.count == Set(peers).count else { return }
    client.end(call)
    works.removeValue(forKey: call)
    judgeReports()
  }

  func judgeReports() {
    for report in reports { if let problem = Problem.ofReport(report) { return giveUp(problem) } }
    let isMajority = reports.count > settings.replicas / 2
    guard opening == .asking else { return }
    guard isMajority else {
      return reports.isEmpty
        ? giveUp(Problem.unseen(Self.reportSubject)) : tryAgain("too few of the servers answer")
    }
    wasGood = true
    open()
  }

  // MARK: The end of a connection

  func close(_ reason: String) {
    // After a server has accepted us, whatever is wrong with the stream has been told.
    let wasRefused = opening == .unconnected
    tellIfLong(reason, wasRefused ? Self.connectionProblemMs : .max)
    opening = .unconnected
    nextReportMs = .max
    if link == .connected { events.append(.link(.away)) }
    link = .away
  }
}
