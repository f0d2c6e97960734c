// A stream of entries in NATS JetStream.
//
// Holds:
//   - an entry is one message; its sequence is the stream's. Nothing is ever sent a second time, and no message has an id:
//     whatever becomes of an append, the reader can see it;
//   - the only expectation that is ever sent is `Nats-Expected-Last-Sequence`. `Nats-Expected-Last-Msg-Id` that does not fit
//     stops a replicated stream of 2.15.1 for good, and the expectation of a subject cannot be pipelined;
//   - no consumers: the tail is what the servers republish behind each commit, at most once; gaps are read directly, from
//     whichever replica answers. A replica that is behind answers 404 for what is there, so 404 is never taken for the end
//     without asking the stream's leader.
// Leaves to others: connections (NATSClient), which entries count (the fold of the cluster).

import LineProtocol
import NATS
import Primitives
import ReplicatedStream

/// A stream in JetStream, over a connection of its own: a long read of one stream does not hold up another.
public final class JetStreamStream: ReplicatedStream {
  /// What a call of the client is for.
  enum Work {
    case append(StreamCall, expecting: EntrySequence)
    case read(Reading)
    /// The same read, which was answered by 404 or by something later: asks the leader for the bounds of the stream.
    case readBounds(StreamCall, EntrySequence)
    /// The leader says that the entry is there, so it shall give it.
    case readFromLeader(StreamCall, EntrySequence)
    case last(StreamCall)
    case truncateBounds(StreamCall, below: EntrySequence)
    case purge(StreamCall, below: EntrySequence, isLast: Bool)
    case look
    case make
    case report
  }

  enum Opening: Equatable {
    /// No server has accepted us.
    case unconnected
    /// The stream is looked at, or made.
    case looking
    /// The servers are asked how they write.
    case asking
    /// All is as it must be.
    case open
  }

  let settings: JetStreamSettings
  let client: NATSClient
  let jsonReader = JSONReader()
  private let tail: UInt64
  @exclusivity(unchecked) var works: [NATSCall: Work] = [:]
  /// Calls that were made while the link was away: they come to nothing with the next turn.
  @exclusivity(unchecked) private var unsent: [Work] = []
  @exclusivity(unchecked) private var lastCall: UInt64 = 0
  @exclusivity(unchecked) var events = EventQueue()
  @exclusivity(unchecked) var nowMs: Int64 = 0

  @exclusivity(unchecked) var opening = Opening.unconnected
  /// The servers that keep the stream, as its leader said last.
  @exclusivity(unchecked) var peers: [String] = []
  @exclusivity(unchecked) var reports: [ServerReport] = []
  @exclusivity(unchecked) var nextReportMs = Int64.max
  /// Whether servers have once been found to write as they must.
  @exclusivity(unchecked) var wasGood = false
  /// Since when the stream is not open; to tell of it when it takes long.
  @exclusivity(unchecked) var awaySinceMs: Int64?
  @exclusivity(unchecked) var told: Set<String> = []

  /// Which stream this is.
  public internal(set) var identity: StreamIdentity?
  /// Whether calls have a chance.
  public internal(set) var link = StreamLink.away

  /// Puts the stream on top of a client, which belongs to it from now on.
  ///
  /// - Precondition: the names in the settings can be part of subjects.
  public init(_ settings: JetStreamSettings, over client: NATSClient) {
    precondition(
      Subject.isLiteral(settings.name) && !settings.name.contains(".") && Subject.isLiteral(settings.subject)
        && Subject.isLiteral(settings.tailSubject), "a stream has names that can be written")
    precondition(settings.replicas > 0 && settings.bytesMax > 0, "a stream has replicas and a size")
    self.settings = settings
    self.client = client
    tail = client.subscribe(to: settings.tailSubject)
  }

  /// How many bytes an entry may have.
  public var entryBytesMax: Int { JetStreamSettings.entryBytesMax }

  /// The server that we are connected to, or trying; nil before the first attempt.
  public var server: ServerAddress? { client.server }

  // MARK: Calls

  /// Publishes an entry with the expectation of its predecessor's sequence.
  public func append(_ bytes: UnsafeRawBufferPointer, expecting last: EntrySequence) -> StreamCall {
    precondition(!bytes.isEmpty && bytes.count <= entryBytesMax, "an entry has 1 to entryBytesMax bytes")
    let call = newCall()
    let work = Work.append(call, expecting: last)
    if isSent(work) {
      ask(
        settings.subject, bytes, header: NATSHeader("Nats-Expected-Last-Sequence", last),
        timeoutMs: settings.appendTimeoutMs, for: work)
    }
    return call
  }

  /// Reads by a batched direct get.
  public func read(from first: EntrySequence, maxBytes: Int) -> StreamCall {
    precondition(first >= 1 && maxBytes >= 1, "reading begins with an entry and takes at least one")
    let call = newCall()
    let reading = Reading(call, from: first)
    if isSent(.read(reading)) { read(reading, maxBytes: maxBytes) }
    return call
  }

  /// Asks the leader for the bounds.
  public func last() -> StreamCall {
    let call = newCall()
    if isSent(.last(call)) { askBounds(for: .last(call)) }
    return call
  }

  /// Purges in steps.
  public func truncate(below first: EntrySequence) -> StreamCall {
    precondition(first >= 1, "a stream is truncated below an entry")
    let call = newCall()
    let work = Work.truncateBounds(call, below: first)
    if isSent(work) { askBounds(for: work) }
    return call
  }

  /// Whether a call has a chance. A connection without the stream found good is none: it may be another stream.
  private func isSent(_ work: Work) -> Bool {
    if link == .connected { return true }
    unsent.append(work)
    return false
  }

  private func newCall() -> StreamCall {
    lastCall += 1
    return StreamCall(lastCall)
  }

  // MARK: What has happened

  /// The next event.
  public func nextEvent() -> StreamEvent? { events.popFirst() }

  /// When `turn` is to be called at the latest.
  public var nextTurnMs: Int64 {
    events.isEmpty && unsent.isEmpty ? min(client.nextTurnMs, nextReportMs) : nowMs
  }

  /// Moves bytes, and understands what has come.
  public func turn(nowMs: Int64) {
    self.nowMs = nowMs
    for work in unsent { takeNothing(for: work) }
    unsent = []
    client.turn(nowMs: nowMs)
    while let event = client.next() { take(event) }
    if nowMs >= nextReportMs, opening == .open { askForReports() }
    client.flush()
  }

  /// Ends the connection; what is in flight is unknown.
  public func stop() {
    client.stop()
    while let event = client.next() { take(event) }
  }

  private func take(_ event: NATSEvent) {
    switch event {
    case .connected: beginOpening()
    case .disconnected(let reason): close(reason)
    case .reply(let call, let message): take(message, for: call)
    case .unanswered(let call): if let work = works.removeValue(forKey: call) { takeNothing(for: work) }
    case .message(let message): takeTail(message)
    case .refused(let reason): tell(Problem.refused(reason, settings))
    }
  }

  private func takeTail(_ message: NATSMessage) {
    guard link == .connected, message.subscription == tail,
      let sequence = message.headers.number("Nats-Sequence"), sequence > 0,
      let previous = message.headers.number("Nats-Last-Sequence"), previous < sequence,
      message.headers.value(of: "Nats-Stream")?.elementsEqual(settings.name.utf8) == true
    else { return }
    events.append(.entry(StreamEntry(sequence: sequence, previous: previous, bytes: Array(message.payload))))
  }

  /// Tells operators, once between two times when all was well.
  func tell(_ problem: String) {
    if told.insert(problem).inserted { events.append(.problem(problem)) }
  }

  // MARK: Asking

  func ask(
    _ subject: String, _ payload: UnsafeRawBufferPointer, header: NATSHeader? = nil, timeoutMs: Int64,
    takesSeveral: Bool = false, for work: Work
  ) {
    works[client.request(subject, payload, header: header, timeoutMs: timeoutMs, takesSeveral: takesSeveral)] = work
  }

  /// Asks JetStream to do something with the stream.
  func ask(_ operation: String, _ text: String, timeoutMs: Int64? = nil, takesSeveral: Bool = false, for work: Work) {
    text.withBytes {
      ask(
        "$JS.API.\(operation).\(settings.name)", $0, timeoutMs: timeoutMs ?? settings.questionTimeoutMs,
        takesSeveral: takesSeveral, for: work)
    }
  }

  func askBounds(for work: Work) { ask("STREAM.INFO", "", for: work) }
}
