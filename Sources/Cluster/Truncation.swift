// How much of the stream nobody needs any more: what the checkpoints of all nodes hold, less what is kept for late ones.
//
// Holds: a node that was heard within ten minutes, and is not more than 2 GiB behind, still finds what follows its checkpoint; the
// last `keptBytes` always stay.
// Leaves to others: who tells it (`checkpointed` entries), removing (the leader, by the stream).

import ReplicatedStream

/// When the stream is truncated.
public struct TruncationSettings: Sendable {
  /// How much of the stream stays at least, for nodes that are late.
  public var keptBytes: UInt64 = 128 << 20
  /// A node whose checkpoint is so far behind is not waited for: it will need the folder of another one.
  public var behindBytesMax: UInt64 = 2 << 30
  /// A node that has said nothing for so long is not waited for.
  public var silentNs: Int64 = 600_000_000_000
  /// A new leader waits so long until every node has told it how far it is; they do each minute.
  public var waitsNs: Int64 = 130_000_000_000
  /// How often the leader looks.
  public var intervalNs: Int64 = 10_000_000_000

  /// The defaults.
  public init() {}
}

/// A node that has been heard in the log.
public struct KnownNode: Equatable, Sendable {
  /// Its name.
  public let name: String
  /// Where it is found.
  public let address: String
  /// The last message of the stream that its checkpoint holds; 0 when it has none.
  public let streamSequence: UInt64
  /// Whether it said that it has been at the end of the log for long enough to be given the leadership.
  public let isReady: Bool
  /// When its last note was read, by the boot-time clock of this node.
  public let heardNs: Int64
}

/// Knows the nodes and their checkpoints, and how long the stream is.
struct Truncation: Sendable {
  let settings: TruncationSettings
  private var byName: [String: KnownNode] = [:]
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
    let horizonBytes = max(settings.keptBytes, settings.behindBytesMax)
    while places.count > 1, bytes - places[1].bytes >= horizonBytes { places.removeFirst() }
  }

  /// A valid `checkpointed` entry was folded. The last word counts, even if it tells of less: a node may have lost its disk.
  mutating func heard(_ note: CheckpointNote, nowNs: Int64) {
    byName[note.node] = KnownNode(
      name: note.node, address: note.address, streamSequence: note.streamSequence, isReady: note.isReady, heardNs: nowNs
    )
  }

  /// The nodes that were heard lately, by name.
  func nodes(nowNs: Int64) -> [KnownNode] {
    byName.values.filter { nowNs - $0.heardNs <= settings.silentNs }.sorted { $0.name < $1.name }
  }

  /// The last place behind which so much has come; nil while there is none.
  private func place(behind count: UInt64) -> EntrySequence? {
    places.last { bytes - $0.bytes >= count }?.sequence
  }

  /// Below which entry the stream may be truncated now, by one that has led since `leadsSinceNs`; nil for nothing new.
  mutating func due(leadsSinceNs: Int64, nowNs: Int64) -> EntrySequence? {
    guard nowNs >= nextNs, nowNs - leadsSinceNs >= settings.waitsNs else { return nil }
    nextNs = nowNs + settings.intervalNs
    let tooFar = place(behind: settings.behindBytesMax) ?? 0
    let waitedFor = nodes(nowNs: nowNs).map(\.streamSequence).filter { $0 >= tooFar }
    guard let least = waitedFor.min(), let kept = place(behind: settings.keptBytes) else { return nil }
    let below = min(least + 1, kept)
    guard below > doneBelow else { return nil }
    doneBelow = below
    return below
  }
}
