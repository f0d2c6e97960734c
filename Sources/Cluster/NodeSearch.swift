// Looks for other nodes in a stream that does not go back as far as this node's folder: one of them has to give it its own.
//
// Holds: what is left of a truncated stream tells of the nodes. The leader truncates up to what notes in it have told, each of which
// came after what it tells of; so the notes are still there. Nothing that is read counts for anything else.
// Leaves to others: asking a node for its folder (the owner).

import ReplicatedStream

/// The way through the messages that are left, up to one that tells of another node.
struct NodeSearch {
  private static let retryNs: Int64 = 100_000_000

  /// Where the stream begins.
  let first: EntrySequence
  /// What is read next.
  private(set) var next: EntrySequence
  private var call: StreamCall?
  private var readAtNs = Int64.min

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
      next = (entries.last?.sequence ?? next) + 1
      return (entries.compactMap(Self.note), false)
    case .nothingYet: return ([], true)
    case .truncated(let first): next = max(next, first)
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
    guard found || read.isAtEnd else { return true }
    lookAtNs = .min
    stop(
      because: .truncated,
      "the stream begins at \(first), and this node has read up to \(fold.position.streamSequence)")
    return true
  }
}
