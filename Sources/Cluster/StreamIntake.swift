// How messages come to the fold: the tail as they are stored, reads for what the tail has not brought, and the question for the end.
//
// Holds: what it gives out stands directly behind the fold; one read and one question at a time.
// Leaves to others: what messages mean (Fold), calls on the stream (ReplicatedLog makes what is asked for here).

import ReplicatedStream

/// Brings the messages of a stream into order.
struct StreamIntake {
  /// What is to be asked of the stream.
  enum Wish: Equatable { case read(from: EntrySequence), last }

  /// What was asked for turned out otherwise.
  enum Loss: Equatable {
    /// The next message is gone; the stream begins at `first`.
    case truncated(first: EntrySequence)
    /// The stream ends before what was folded, and has for a while.
    case wentBack(last: EntrySequence)
  }

  static let nsPerMs: Int64 = 1_000_000
  /// The tail is taken for silent after this.
  static let silenceNs = 700 * nsPerMs
  /// How soon a read is repeated that found too little.
  static let retryNs = 20 * nsPerMs
  /// How long the way to the end may take without progress.
  static let patienceNs = 5_000 * nsPerMs
  /// How long a stream may seem shorter than the fold: a machine that leads it no more may have answered.
  static let shorterNs = 30_000 * nsPerMs
  static let stashMax = 64

  /// Messages that came too early.
  private var stash: [EntrySequence: StreamEntry] = [:]
  private var highest: EntrySequence = 0
  private var readCall: StreamCall?
  private var lastCall: StreamCall?
  private var readAtNs: Int64
  /// Whether the end is asked for, or on the way to it.
  private(set) var isSeekingEnd = false
  private var goal: EntrySequence?
  private var progressNs: Int64 = 0
  private var shorterSinceNs: Int64?
  private(set) var loss: Loss?
  /// About how many bytes the stream takes, as of the last answer.
  private(set) var streamBytes: UInt64 = 0

  /// Reads at once, to catch up.
  init(nowNs: Int64) { readAtNs = nowNs }

  // MARK: What comes

  /// Takes a message of the tail.
  mutating func heard(_ entry: StreamEntry, folded: EntrySequence) {
    highest = max(highest, entry.sequence)
    keep(entry, folded)
  }

  private mutating func keep(_ entry: StreamEntry, _ folded: EntrySequence) {
    guard entry.sequence > folded else { return }
    if entry.sequence == folded + 1 || stash.count < Self.stashMax { stash[entry.sequence] = entry }
  }

  /// Takes the outcome of a read; false when it is not the one that was asked for.
  mutating func read(_ outcome: ReadOutcome, of call: StreamCall, folded: EntrySequence, nowNs: Int64) -> [StreamEntry]?
  {
    guard call == readCall else { return nil }
    readCall = nil
    switch outcome {
    case .entries(let entries):
      highest = max(highest, entries.last?.sequence ?? 0)
      progressNs = nowNs
      // There may be more.
      readAtNs = nowNs
      return entries
    case .nothingYet: readAtNs = nowNs + (needsMore(folded) ? Self.retryNs : Self.silenceNs)
    case .unknown: readAtNs = nowNs + 5 * Self.retryNs
    case .truncated(let first): if first > folded + 1 { loss = .truncated(first: first) } else { readAtNs = nowNs }
    }
    return []
  }

  /// Takes the outcome of the question for the end; nil when it is not the one that was asked, else whether there was an answer.
  mutating func last(_ outcome: LastOutcome, of call: StreamCall, folded: EntrySequence, nowNs: Int64) -> Bool? {
    guard call == lastCall else { return nil }
    lastCall = nil
    guard case .last(let first, let last, let bytes) = outcome else {
      isSeekingEnd = false
      return false
    }
    streamBytes = bytes
    if first > folded + 1 { loss = .truncated(first: first) }
    if last < folded {
      let since = shorterSinceNs ?? nowNs
      shorterSinceNs = since
      if nowNs - since >= Self.shorterNs { loss = .wentBack(last: last) }
      isSeekingEnd = false
      return false
    }
    shorterSinceNs = nil
    goal = last
    highest = max(highest, last)
    progressNs = nowNs
    if last > folded { readAtNs = nowNs }
    return true
  }

  /// The message behind the fold, if it is here.
  mutating func next(behind folded: EntrySequence) -> StreamEntry? { stash.removeValue(forKey: folded + 1) }

  /// Something was folded: the tail lives.
  mutating func progressed(folded: EntrySequence, nowNs: Int64) {
    progressNs = nowNs
    if !needsMore(folded) { readAtNs = nowNs + Self.silenceNs }
    if stash.count >= Self.stashMax / 2 { stash = stash.filter { $0.key > folded } }
  }

  /// A message could not be read; another machine may give it whole.
  mutating func wantsAgain(nowNs: Int64) { readAtNs = nowNs + Self.retryNs }

  /// The link has come back: whatever was stored meanwhile was not heard.
  mutating func reconnected(nowNs: Int64) { readAtNs = nowNs }

  // MARK: The end

  /// Asks where the end is, to come to it.
  mutating func seekEnd(nowNs: Int64) {
    guard !isSeekingEnd else { return }
    isSeekingEnd = true
    goal = nil
    progressNs = nowNs
  }

  /// The way to the end is given up: the link is gone.
  mutating func abandonEnd() {
    isSeekingEnd = false
    goal = nil
  }

  /// Whether the fold has come to what was the end when it was asked for; true once.
  mutating func hasReachedEnd(folded: EntrySequence) -> Bool {
    guard isSeekingEnd, let goal, folded >= goal else { return false }
    isSeekingEnd = false
    self.goal = nil
    return true
  }

  /// Whether the way to the end takes too long; true once.
  mutating func hasGivenUp(nowNs: Int64) -> Bool {
    guard isSeekingEnd, goal != nil, nowNs - progressNs > Self.patienceNs else { return false }
    isSeekingEnd = false
    goal = nil
    return true
  }

  /// Whether nothing is known that is not folded.
  func isAtEnd(folded: EntrySequence) -> Bool { !needsMore(folded) }

  private func needsMore(_ folded: EntrySequence) -> Bool { max(highest, goal ?? 0) > folded }

  /// What is to be asked of the stream now; the calls are given back by `asked`.
  func wishes(folded: EntrySequence, nowNs: Int64) -> [Wish] {
    var wishes: [Wish] = []
    if isSeekingEnd, goal == nil, lastCall == nil { wishes.append(.last) }
    if readCall == nil, loss == nil, nowNs >= readAtNs {
      wishes.append(.read(from: folded + 1))
    }
    return wishes
  }

  /// Notes the call that a wish became.
  mutating func asked(_ wish: Wish, _ call: StreamCall) {
    switch wish {
    case .read: readCall = call
    case .last: lastCall = call
    }
  }

  /// A hole in what came: it is read soon, unless the tail fills it.
  mutating func noticeHole(folded: EntrySequence, nowNs: Int64) {
    if needsMore(folded) { readAtNs = min(readAtNs, nowNs + Self.retryNs / 4) }
  }

  /// When it is to be looked at again.
  var wakeUpNs: Int64 { readCall == nil ? readAtNs : .max }
}
