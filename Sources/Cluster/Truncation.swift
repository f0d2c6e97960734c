// How much of the stream nobody needs any more: what the checkpoints of all nodes hold, less what is kept for late ones.
//
// Holds: a node that was heard within ten minutes still finds what follows its checkpoint; the last `keptBytes` always stay.
// Leaves to others: which nodes were heard (KnownNodes), removing (the leader, by the stream).

import ReplicatedStream

/// When the stream is truncated.
public struct TruncationSettings: Sendable {
  /// How much of the stream stays at least, for nodes that are late.
  public var keptBytes: UInt64 = 128 << 20
  /// A node that has said nothing for so long is not waited for.
  public var silentNs: Int64 = 600_000_000_000
  /// A new leader waits so long until every node has told it how far it is; they do each minute.
  public var waitsNs: Int64 = 130_000_000_000
  /// How often the leader looks.
  public var intervalNs: Int64 = 10_000_000_000

  /// The defaults.
  public init() {}
}

/// Knows how long the stream is.
struct Truncation: Sendable {
  let settings: TruncationSettings
  private var places: [(sequence: EntrySequence, bytes: UInt64)] = []
  private var bytes: UInt64 = 0
  private var doneBelow: EntrySequence = 0
  private var nextNs: Int64 = .min

  init(_ settings: TruncationSettings) { self.settings = settings }

  /// A message of the stream was folded.
  mutating func folded(_ sequence: EntrySequence, bytes count: Int) {
    bytes += UInt64(count)
    // So many places that what stays is at most a hundredth more than it should.
    let bytesApart = settings.keptBytes / 128
    if places.isEmpty || bytes - places[places.count - 1].bytes >= bytesApart { places.append((sequence, bytes)) }
    while places.count > 1, bytes - places[1].bytes >= settings.keptBytes { places.removeFirst() }
  }

  /// Below which entry the stream may be truncated now for `nodes`, by one that has led since `leadsSinceNs`; nil for nothing new.
  mutating func due(_ nodes: [KnownNode], leadsSinceNs: Int64, nowNs: Int64) -> EntrySequence? {
    guard nowNs >= nextNs, nowNs - leadsSinceNs >= settings.waitsNs else { return nil }
    nextNs = nowNs + settings.intervalNs
    guard let least = nodes.map(\.note.streamSequence).min(), let kept = places.first,
      bytes - kept.bytes >= settings.keptBytes
    else { return nil }
    let below = min(least + 1, kept.sequence)
    guard below > doneBelow else { return nil }
    doneBelow = below
    return below
  }
}
