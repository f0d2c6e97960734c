// The turn of the log's thread: what the stream tells, what follows from the fold, campaigning; leading is in a file of its own.
//
// Holds: every message goes through `fold(_:at:)`, in the order of the stream, once.

import DecisionLog
import Primitives
import ReplicatedStream

extension ReplicatedLog {
  /// The beginning of an epoch of this node's, sent and not settled.
  struct Beginning {
    let message: [UInt8]
    let writer: EntryWriter
    /// What it was made behind: as long as that is the fold's, the same bytes are sent again.
    let behind: FoldPosition
    let firstSentNs: Int64
    var call: StreamCall
    var expecting: EntrySequence

    /// Whether it still says the right thing at a place further on, with nothing but void entries in between.
    func fits(_ position: FoldPosition) -> Bool {
      position.epoch == behind.epoch && position.index == behind.index && position.chain == behind.chain
    }
  }

  /// Does what there is to do now. Never blocks.
  public func turn() -> NextTurn {
    if isFinished { return .finished }
    let nowNs = surroundings.clock()
    stream.turn(nowMs: nowNs / Self.nsPerMs)
    takeRequests(nowNs)
    foldWhatIsHere(nowNs)
    while !isFinished, let event = stream.nextEvent() { take(event, nowNs) }
    if !isFinished { goOn(nowNs) }
    lookAround(nowNs)
    publish()
    if isFinished { return .finished }
    stream.turn(nowMs: nowNs / Self.nsPerMs)
    let wakeUpNs = wakeUpNs()
    if wakeUpNs == .max { return .whenWoken }
    return wakeUpNs <= nowNs ? .now : .after(ns: wakeUpNs - nowNs)
  }

  private func goOn(_ nowNs: Int64) {
    if intake.hasReachedEnd(folded: fold.position.streamSequence) { reachedEnd(nowNs) }
    if intake.hasGivenUp(nowNs: nowNs) { failedToReachEnd(nowNs) }
    if !isCurrent, nowNs >= seekEndAtNs { intake.seekEnd(nowNs: nowNs) }
    if search == nil { campaign(nowNs) }
    // Nothing is asked of a stream that is away, or not found good yet.
    let isConnected = stream.link == .connected
    if isConnected { goOnLeading(nowNs) }
    if isConnected { goOnSearching(nowNs) }
    if isConnected, !isPaused, search == nil {
      for wish in intake.wishes(folded: fold.position.streamSequence, nowNs: nowNs) { ask(wish) }
    }
    if isStopping.load(ordering: .sequentiallyConsistent), lead == nil { isFinished = true }
  }

  private func ask(_ wish: StreamIntake.Wish) {
    switch wish {
    case .read(let first): intake.asked(wish, stream.read(from: first, maxBytes: 1 << 20))
    case .last: intake.asked(wish, stream.last())
    }
  }

  private func wakeUpNs() -> Int64 {
    var next = stream.nextTurnMs == .max ? Int64.max : stream.nextTurnMs &* Self.nsPerMs
    guard stream.link == .connected else { return next }
    if let search { return min(next, search.wakeUpNs) }
    if !isPaused { next = min(next, intake.wakeUpNs) }
    if let lead { return min(next, lead.wakeUpNs(leadership, isSeekingEnd: intake.isSeekingEnd)) }
    if shared.withLock({ $0.mayLead }), let campaignNs = leadership.wakeUpNs(rank: rank) {
      next = min(next, campaignNs)
    }
    return next
  }

  // MARK: What the stream tells

  private func take(_ event: StreamEvent, _ nowNs: Int64) {
    let folded = fold.position.streamSequence
    switch event {
    case .entry(let entry):
      // Before the stream is found to be as it must be, its tail says nothing.
      guard stream.link == .connected else { return }
      intake.heard(entry, folded: folded)
      foldWhatIsHere(nowNs, isLive: true)
      intake.noticeHole(folded: fold.position.streamSequence, nowNs: nowNs)
    case .read(let call, let outcome):
      if tookOfSearch(outcome, of: call, nowNs) { return }
      guard let entries = intake.read(outcome, of: call, folded: folded, nowNs: nowNs) else { return }
      for entry in entries where !isFinished && !isPaused { foldNext(entry, nowNs, isLive: false) }
      foldWhatIsHere(nowNs)
      checkLoss()
    case .last(let call, let outcome):
      if intake.last(outcome, of: call, folded: folded, nowNs: nowNs) == false { failedToReachEnd(nowNs) }
      checkLoss()
    case .appended(let call, let outcome): took(outcome, of: call, nowNs)
    case .truncated: break
    case .link(let link):
      hasNews = true
      if link == .connected {
        intake.reconnected(nowNs: nowNs)
        checkStream()
      } else {
        intake.abandonEnd()
        failedToReachEnd(nowNs)
      }
    case .problem(let text):
      hasNews = true
      shared.withLock { $0.status.problem = text }
    }
  }

  /// The checkpoint of this node goes on in one stream, and means nothing in any other.
  func checkStream() {
    guard let knownStream, let found = stream.identity, found != knownStream else { return }
    stop(
      because: .foreign,
      "the stream \(found.name) is not the one that the checkpoint of this node goes on in: it was removed, and made again"
    )
  }

  private func checkLoss() {
    guard search == nil else { return }
    switch intake.loss {
    case .truncated(let first):
      depose("the stream begins at \(first)")
      if !isFinished { search = NodeSearch(from: first) }
    case .wentBack(let last):
      stop(
        because: .damaged, "the stream ends at \(last), and this node has read up to \(fold.position.streamSequence)")
    case nil: break
    }
  }

  // MARK: Folding

  private func foldWhatIsHere(_ nowNs: Int64, isLive: Bool = false) {
    while !isFinished, !isPaused, let entry = intake.next(behind: fold.position.streamSequence) {
      foldNext(entry, nowNs, isLive: isLive)
    }
  }

  private func foldNext(_ entry: StreamEntry, _ nowNs: Int64, isLive: Bool) {
    fold(entry.bytes, at: entry.sequence, nowNs, isLive: isLive)
  }

  /// Folds a message.
  ///
  /// - Parameter isLive: whether it has just been stored, so that its time can be compared with this node's.
  func fold(_ message: [UInt8], at sequence: EntrySequence, _ nowNs: Int64, isLive: Bool) {
    switch fold.fold(message, at: sequence) {
    case .known, .gap: return
    case .void: break
    case .valid(let entry, let content): folded(entry, content, message, nowNs, isLive: isLive)
    case .laterGeneration:
      if search == nil { search = NodeSearch(from: sequence) }
      return
    case .stop(let fault):
      unreadable += 1
      if fault.kind == .unreadable, unreadable <= 8 { return intake.wantsAgain(nowNs: nowNs) }
      return stop(because: fault.kind == .foreign ? .foreign : .damaged, fault.description)
    }
    unreadable = 0
    hasNews = true
    intake.progressed(folded: fold.position.streamSequence, nowNs: nowNs)
    truncation.folded(sequence, bytes: message.count)
    noteProgress(messageBytes: message.count)
  }

  private func folded(
    _ entry: Entry, _ content: EntryContent, _ message: [UInt8], _ nowNs: Int64, isLive: Bool
  ) {
    if case .checkpointed(let note) = content {
      truncation.heard(note, nowNs: nowNs)
      lookAtNs = .min
    }
    if let beginning, beginning.message == message { return begun(beginning, nowNs) }
    if let lead, entry.epoch == lead.epoch { return committed(through: entry.index, nowNs) }
    if case .records(let frames) = content { shared.withLock { $0.folded.append(frames) } }
    let differenceMs = isLive ? entry.serviceMs &- surroundings.serviceMs() : nil
    leadership.heard(entry, content, node: settings.node, nowNs: nowNs, differenceMs: differenceMs)
    if lead != nil { depose("node \(fold.leader?.node ?? "?") has begun epoch \(entry.epoch)") }
  }

  private func noteProgress(messageBytes: Int) {
    written.store(fold.position.nextRecord - 1, ordering: .releasing)
    let canGoOnHere = !fold.isWithinRecord
    let waiting = shared.withLock { shared in
      if canGoOnHere { shared.marks.add(fold.position, bytes: messageBytes) }
      shared.identity = fold.identity
      if let leader = fold.leader, shared.leaders[fold.position.epoch] != leader {
        shared.leaders[fold.position.epoch] = leader
        // A checkpoint goes back a few epochs at most: older ones are not known then, and no harm comes of that.
        if shared.leaders.count > 64, let oldest = shared.leaders.keys.min() { shared.leaders[oldest] = nil }
      }
      return shared.folded.bytes
    }
    isPaused = waiting > settings.waitingBytesMax
  }

  // MARK: Campaigning

  private func campaign(_ nowNs: Int64) {
    let may =
      shared.withLock { $0.mayLead } && stream.link == .connected && !isStopping.load(ordering: .sequentiallyConsistent)
    guard lead == nil, leadership.next(nowNs: nowNs, rank: rank, mayLead: may) != nil else { return }
    intake.seekEnd(nowNs: nowNs)
  }

  private func reachedEnd(_ nowNs: Int64) {
    isCurrent = true
    hasNews = true
    if fold.position == FoldPosition() { leadership.foundNobody() }
    if leadership.reachedEnd(nowNs: nowNs) == .beginEpoch { beginEpoch(nowNs) }
    settleTrouble()
  }

  private func failedToReachEnd(_ nowNs: Int64) {
    leadership.failedToRead(nowNs: nowNs)
    seekEndAtNs = nowNs + leadership.retryNs
    lead?.retryAtNs = nowNs + leadership.retryNs
  }

  private func beginEpoch(_ nowNs: Int64) {
    let end = fold.position.streamSequence
    if let known = beginning, known.fits(fold.position) {
      beginning?.expecting = end
      beginning?.call = append(known.message, end)
      return
    }
    let identity =
      fold.identity ?? LogIdentity(store: surroundings.random(), hashKey: surroundings.random())
    var writer = EntryWriter(behind: fold.position, newEpoch: true)
    let start = EpochStart(identity: identity, node: settings.node, address: settings.address)
    let message = writer.begin(start, serviceMs: surroundings.serviceMs())
    beginning = Beginning(
      message: message, writer: writer, behind: fold.position, firstSentNs: nowNs, call: append(message, end),
      expecting: end)
  }

  private func took(_ outcome: AppendOutcome, of call: StreamCall, _ nowNs: Int64) {
    guard let begun = beginning, begun.call == call else { return tookOfLead(outcome, of: call, nowNs) }
    if outcome == .stored(begun.expecting + 1) {
      // The tail may have brought it before.
      fold(begun.message, at: begun.expecting + 1, nowNs, isLive: false)
    } else {
      leadership.failedToBegin(isUnknown: outcome == .unknown, nowNs: nowNs)
    }
  }

  /// The epoch of this node is folded: it leads.
  private func begun(_ begun: Beginning, _ nowNs: Int64) {
    beginning = nil
    let epoch = begun.writer.epoch
    leadership.began(epoch: epoch)
    lead = Lead(window: EntryWindow(begun.writer), sinceNs: nowNs, lastSentNs: begun.firstSentNs)
    extendLease(sentNs: begun.firstSentNs)
  }

  func append(_ message: [UInt8], _ expecting: EntrySequence) -> StreamCall {
    message.withUnsafeBytes { stream.append($0, expecting: expecting) }
  }

  // MARK: Ends

  /// Another one leads, or will: what this node has in memory may not be in the log.
  func depose(_ reason: String) {
    lead = nil
    leaseEndNs.store(.min, ordering: .releasing)
    let hadBegun = shared.withLock { shared in
      defer { shared.begunEpoch = nil }
      guard shared.begunEpoch != nil else { return false }
      shared.failure = StorageError(kind: .failed, operation: "lead", path: "log", reason: reason)
      return true
    }
    hasNews = true
    // Without records of its own in memory, the node just follows again.
    guard hadBegun else { return }
    shared.withLock { $0.status.role = .deposed }
    isFinished = true
  }

  func stop(because why: LogStop, _ reason: String) {
    leaseEndNs.store(.min, ordering: .releasing)
    shared.withLock {
      $0.failure = StorageError(kind: .damaged, operation: "read", path: "log", reason: reason)
      $0.status.role = .stopped
      $0.status.stop = why
      $0.status.problem = reason
    }
    lead = nil
    hasNews = true
    isFinished = true
  }

  private func publish() {
    guard hasNews else { return }
    hasNews = false
    shared.withLock { shared in
      if !isFinished { shared.status.role = lead.map { .leading(epoch: $0.epoch) } ?? .following }
      shared.status.isIdentified = fold.identity != nil
      shared.status.isCurrent = isCurrent
      shared.status.isConnected = stream.link == .connected
      shared.status.leader = fold.leader
      shared.status.position = fold.position
      shared.status.serviceMs = fold.serviceMs
      shared.status.validCount = fold.validCount
      shared.status.voidCount = fold.voidCount
      shared.status.isClockOff = leadership.isClockOff
      shared.status.streamBytes = intake.streamBytes
    }
    surroundings.notify()
  }
}
