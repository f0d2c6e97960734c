// Looks for other nodes in a stream that does not go back as far as this node's folder: one of them has to give it its own.
//
// Holds: what is left of a truncated stream tells of the nodes. The leader truncates up to what notes in it have told, each of which
// came after what it tells of; so the notes are still there. Nothing that is read counts for anything else.
// Leaves to others: asking a node for its folder (the owner).

import ReplicatedStream

/// The way through the messages that are left.
struct NodeSearch {
  private static let retryNs: Int64 = 100_000_000

  /// Where the stream begins.
  let first: EntrySequence
  /// What is read next.
  private(set) var next: EntrySequence
  private var call: StreamCall?
  private var readAtNs = Int64.min
  /// How much was read.
  private(set) var bytes = 0
  /// The nodes that are there have told of themselves within this much, but for what comes within a minute.
  static let bytesMax = 256 << 20

  init(from first: EntrySequence) {
    self.first = first
    next = first
  }

  /// Whether something is to be read now.
  func wantsRead(_ nowNs: Int64) -> Bool { call == nil && nowNs >= readAtNs }

  mutating func asked(_ call: StreamCall) { self.call = call }

  /// Takes the outcome of a read; nil when it is not the one that was asked for.
  mutating func read(
    _ outcome: ReadOutcome, of call: StreamCall, nowNs: Int64
  ) -> (notes: [CheckpointNote], isAtEnd: Bool)? {
    guard call == self.call else { return nil }
    self.call = nil
    switch outcome {
    case .entries(let entries):
      guard let last = entries.last else { return ([], true) }
      next = last.sequence + 1
      bytes += entries.reduce(0) { $0 + $1.bytes.count }
      return (entries.compactMap(Self.note), false)
    case .nothingYet: return ([], true)
    case .truncated(let first):
      next = max(next, first)
      readAtNs = nowNs + Self.retryNs
    case .unknown: readAtNs = nowNs + Self.retryNs
    }
    return ([], false)
  }

  private static func note(in entry: StreamEntry) -> CheckpointNote? {
    guard let fields = Entry(decoding: entry.bytes), fields.kind == .checkpointed else { return nil }
    return CheckpointNote(decoding: entry.bytes[Entry.headerBytes...])
  }

  var wakeUpNs: Int64 { call == nil ? readAtNs : .max }
}

extension ReplicatedLog {
  func goOnSearching(_ nowNs: Int64) {
    guard !isFinished, let search, search.wantsRead(nowNs) else { return }
    self.search?.asked(stream.read(from: search.next, maxBytes: 1 << 20))
  }

  /// Whether it was a read of the search.
  func tookOfSearch(_ outcome: ReadOutcome, of call: StreamCall, _ nowNs: Int64) -> Bool {
    guard let first = search?.first, let read = search?.read(outcome, of: call, nowNs: nowNs) else { return false }
    for note in read.notes where note.node != settings.node { truncation.heard(note, nowNs: nowNs) }
    let found = truncation.nodes(nowNs: nowNs).contains { $0.name != settings.node }
    guard read.isAtEnd || found && (search?.bytes ?? 0) > NodeSearch.bytesMax else { return true }
    lookAtNs = .min
    let position = fold.position.streamSequence
    stop(
      because: .truncated,
      first > position + 1
        ? "the stream begins at \(first), and this node has read up to \(position)"
        : "the stream goes on with what a folder held, and this node has none")
    return true
  }
}
