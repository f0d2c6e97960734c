// The overflow wheels on disk: messages due later than the in-memory wheel reaches lie in slice files, one append-only file
// for each stretch of time. When their time is near they are demoted to finer slices and at last into memory.
//
// Holds: a message due before `routedMs` is in memory or on its way there, any other one lies in a slice ahead of the hand;
// messages due before `loadedMs` are all in memory or known to the owner as spilled, so the owner may release up to there what
// stands in front of all that is spilled. `routedMs` is the hand.
// Leaves to others: the journal (which holds everything that a checkpoint has not synced here yet), what a message is to
// its owner, when to release.

import DataFiles
import Primitives

/// What the store asks of the owner of the messages.
public protocol DelayStoreOwner: AnyObject {
  /// Whether a message that comes near may come into memory. Otherwise it stays where it is, and `wasSpilled` is told.
  var hasRoomNear: Bool { get }
  /// A message on disk has come near, and has no room in memory: its owner must have it brought back before its time.
  func wasSpilled(_ message: SpilledMessage, topic: UInt32)
  /// A message on disk has come near: copies it into memory and lets the index say so. Its record stays in `slice` at
  /// `position`.
  func cameNear(_ record: MessageRecord, hash: IDHash, slice: UInt32, position: Int)
  /// Whether the topic still exists. Messages of a deleted topic are dropped when they come near.
  func isAlive(topic: UInt32) -> Bool
  /// A file of the store is not what was written: the server must stop.
  func storeIsDamaged(_ error: StorageError)
}

/// Pending messages on disk, with an index of all pending messages.
public final class DelayStore {
  /// Where each pending message is, on disk or in memory.
  public let index = PendingIndex()
  /// The arithmetic of slices.
  public let layout: SliceLayout
  /// Messages due before this are in memory or on the way.
  public internal(set) var routedMs: UnixMs = 0
  /// Messages due before this are in memory, or spilled and known to the owner.
  public internal(set) var loadedMs: UnixMs = 0
  /// Messages that lie on disk only.
  @exclusivity(unchecked) public internal(set) var onDiskCount = 0
  /// Messages that have come near since the start.
  public internal(set) var cameNearCount: UInt64 = 0

  let io: any IOQueue
  let hasher: SipHash128
  /// The owner of the messages; set once before use.
  public unowned(unsafe) var owner: (any DelayStoreOwner)?
  @exclusivity(unchecked) var slices: [SliceKey: Slice] = [:]
  var sliceByNumber: [Slice?] = []
  var freeNumbers: [UInt32] = []
  private var nextGeneration: UInt32 = 1
  var mover: SliceMover?
  /// Files that the next durable checkpoint no longer names.
  var obsolete: [String] = []

  static let chunkBytes = 64 << 10

  /// An empty store.
  public init(sliceMs: Int64, hasher: SipHash128, io: any IOQueue) {
    layout = SliceLayout(sliceMs: sliceMs)
    self.hasher = hasher
    self.io = io
  }

  // MARK: Messages

  /// Whether a message due then belongs on disk.
  @inlinable public func belongsOnDisk(dueMs: UnixMs) -> Bool { dueMs >= routedMs }

  /// Takes a message that belongs on disk: appends it to its slice and indexes it. O(1).
  public func insert(_ record: MessageRecord, dueMs: UnixMs, hash: IDHash) {
    let slice = slice(for: layout.slice(dueMs: dueMs, handMs: routedMs), phase: .ahead)
    let position = slice.append(record, dueMs: dueMs)
    slice.onDiskCount += 1
    onDiskCount += 1
    index.set(hash, .disk(slice: slice.number, position: position))
  }

  /// Drops a message that the index has on disk. O(1), no disk access.
  public func remove(_ hash: IDHash, slice number: UInt32, position: Int) {
    let slice = existing(number)
    slice.bury(position)
    slice.onDiskCount -= 1
    onDiskCount -= 1
    index.remove(hash)
  }

  /// Notes that a message in memory, with a copy in a slice, will not be released from that copy.
  public func buryCopy(slice number: UInt32, position: Int) { existing(number).bury(position) }

  /// Writes a copy of a message in memory into the slice of its due time, for a checkpoint. O(1).
  public func keepCopy(_ record: MessageRecord, dueMs: UnixMs) -> (slice: UInt32, position: Int) {
    let key = SliceKey(level: 0, number: dueMs / layout.sliceMs)
    let slice = slice(for: key, phase: .near)
    return (slice.number, slice.append(record, dueMs: dueMs))
  }

  // MARK: Slices

  /// The earliest time at which a message of a slice is due.
  public func startMs(slice number: UInt32) -> UnixMs { layout.startMs(existing(number).key) }

  func existing(_ number: UInt32) -> Slice {
    guard Int(number) < sliceByNumber.count, let slice = sliceByNumber[Int(number)] else {
      preconditionFailure("the index names slice \(number), which is not there")
    }
    return slice
  }

  func slice(for key: SliceKey, phase: Slice.Phase) -> Slice {
    if let slice = slices[key] { return slice }
    return addSlice(key, generation: nextGeneration, length: 0, phase: phase)
  }

  func addSlice(_ key: SliceKey, generation: UInt32, length: Int, phase: Slice.Phase) -> Slice {
    let number = freeNumbers.popLast() ?? UInt32(sliceByNumber.count)
    precondition(number < PendingIndex.sliceNumberMax, "too many slices")
    if Int(number) == sliceByNumber.count { sliceByNumber.append(nil) }
    nextGeneration = max(nextGeneration, generation &+ 1)
    let path = SliceLayout.path(key, generation: generation)
    let file = AppendFile(path: path, length: length, chunkBytesMax: Self.chunkBytes, io: io)
    let slice = Slice(key: key, number: number, generation: generation, file: file, phase: phase)
    slices[key] = slice
    sliceByNumber[Int(number)] = slice
    return slice
  }

  /// Whether a slice was dropped: its file may be gone, and its number may be another slice's.
  func isDropped(_ slice: Slice) -> Bool { sliceByNumber[Int(slice.number)] !== slice }

  private func drop(_ slice: Slice) {
    precondition(slice.onDiskCount == 0, "slice \(slice.file.path) still has messages")
    slices[slice.key] = nil
    sliceByNumber[Int(slice.number)] = nil
    freeNumbers.append(slice.number)
    obsolete.append(slice.file.path)
  }

  // MARK: Checkpoints

  /// A slice as a checkpoint names it.
  public struct SliceState {
    /// Which slice.
    public var key: SliceKey
    /// Which of the files that the slice has had.
    public var generation: UInt32
    /// Bytes of its file that count.
    public var length: Int

    /// Where the file is.
    public var path: String { SliceLayout.path(key, generation: generation) }

    /// Puts them together.
    public init(key: SliceKey, generation: UInt32, length: Int) {
      self.key = key
      self.generation = generation
      self.length = length
    }
  }

  /// Whether no slice is being demoted, so that a checkpoint may be taken: a demotion has no records, and a checkpoint must
  /// not hold half of one.
  public var isAtRest: Bool { mover == nil }

  /// Whether a checkpoint would free files.
  public func hasObsolete(watermarkMs: UnixMs) -> Bool {
    slices.values.contains { isObsolete($0, watermarkMs) } || !obsolete.isEmpty
  }

  private func isObsolete(_ slice: Slice, _ watermarkMs: UnixMs) -> Bool {
    switch slice.phase {
    case .emptied: true
    case .near: layout.endMs(slice.key) <= watermarkMs
    case .ahead: slice.onDiskCount == 0
    case .moving: false
    }
  }

  /// Drops slices that have no messages left (everything due before `watermarkMs` has been released), hands all unwritten
  /// bytes to the write lane and says what the slices are and which files are to be synced.
  public func checkpoint(watermarkMs: UnixMs, unsynced: inout [String]) -> [SliceState] {
    precondition(isAtRest, "a checkpoint while messages move")
    for slice in inOrder where slice.phase == .emptied { drop(slice) }
    for slice in inOrder where slice.phase == .near && layout.endMs(slice.key) <= watermarkMs { drop(slice) }
    for slice in inOrder where slice.phase == .ahead && slice.onDiskCount == 0 { drop(slice) }
    return inOrder.map {
      SliceState(key: $0.key, generation: $0.generation, length: $0.file.checkpoint(unsynced: &unsynced))
    }
  }

  /// By level and number, not by hash: the same run writes the same bytes in the same order.
  var inOrder: [Slice] {
    slices.values.sorted { ($0.key.level, $0.key.number) < ($1.key.level, $1.key.number) }
  }

  /// The files that checkpoints no longer name; to be removed once the newest checkpoint is durable.
  public func takeObsolete() -> [String] {
    defer { obsolete = [] }
    return obsolete
  }
}
