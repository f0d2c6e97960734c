// Reads of messages that lie on disk: one at a known position, or those of a topic in due order.

import DataFiles
import Primitives

/// A message that was read from a slice for a command.
public final class ColdRecord {
  /// Where it was.
  public let place: MessagePlace
  let memory: Chunk
  /// The message.
  public var record: MessageRecord { MessageRecord(memory.base) }

  init(place: MessagePlace, memory: Chunk) {
    self.place = place
    self.memory = memory
  }
}

extension DelayStore {
  /// Reads the message at a place on disk; gives it at once when it is still in memory, else calls `done` on the loop later:
  /// with nil when the message has left that place meanwhile.
  public func read(slice number: UInt32, position: Int, done: @escaping (ColdRecord?) -> Void) -> ColdRecord? {
    let slice = existing(number)
    let place = MessagePlace.disk(slice: number, position: position)
    let header = slice.file.unwrittenBytes(at: position, count: MessageRecord.headerLength)
    if let header, let base = header.baseAddress {
      let length = MessageRecord(base).length
      let memory = Chunk(filePosition: position, capacity: length)
      memory.base.copyMemory(from: base, byteCount: length)
      return ColdRecord(place: place, memory: memory)
    }
    io.submit(RecordReadTask(self, slice, place: place, position: position, done: done), .read)
    return nil
  }

  /// What the message at a place on disk says. For tests: `reading` gives bytes of a file at once.
  package func peek(
    slice number: UInt32, position: Int, reading: (_ path: String, _ position: Int, _ count: Int) -> [UInt8]?
  ) -> (dueMs: UnixMs, sequence: Sequence, topic: UInt32)? {
    let file = existing(number).file
    let unwritten = file.unwrittenBytes(at: position, count: MessageRecord.headerLength).map { Array($0) }
    let bytes = unwritten ?? reading(file.path, position, MessageRecord.headerLength)
    guard let bytes, bytes.count == MessageRecord.headerLength else { return nil }
    return bytes.withUnsafeBytes { bytes in
      let record = MessageRecord(bytes.baseAddress!)
      return (record.dueMs, record.sequence, record.topic)
    }
  }

  /// The slices that hold messages of [fromMs, …) on disk, in due order.
  public func slicesOnDisk(fromMs: UnixMs) -> [(path: String, number: UInt32, startMs: UnixMs)] {
    slices.values.filter { $0.onDiskCount > 0 && layout.endMs($0.key) > fromMs }
      .map { (path: $0.file.path, number: $0.number, startMs: layout.startMs($0.key)) }
      .sorted { $0.startMs < $1.startMs }
  }

  /// Whether a slice of this number still has messages on disk.
  public func isOnDisk(slice number: UInt32) -> Bool { (sliceByNumber[Int(number)]?.onDiskCount ?? 0) > 0 }

  /// Looks through one slice for messages of `request.topic`; `done` gets the first of them in (due, sequence) order, on the
  /// loop. Messages that were cancelled after the call may still be in the answer: ask the index.
  public func list(slice number: UInt32, _ request: SliceListRequest, done: @escaping ([SliceListEntry]) -> Void) {
    let slice = existing(number)
    slice.file.flush()
    // The write lane runs this after the flush, so the read that follows in the read lane finds all bytes in the file.
    let read = SliceListTask(self, slice, request, done)
    io.submit(LaneChange(io, read), .write)
  }
}

/// What to look for in a slice.
public struct SliceListRequest: Sendable {
  /// Number of the topic.
  public var topic: UInt32
  /// Only due times in this range.
  public var dueMs: ClosedRange<UnixMs>
  /// Only behind this (due, sequence).
  public var afterDueMs: UnixMs
  /// See `afterDueMs`.
  public var afterSequence: Sequence
  /// At most so many.
  public var limit: Int

  /// Puts a request together.
  public init(topic: UInt32, dueMs: ClosedRange<UnixMs>, afterDueMs: UnixMs, afterSequence: Sequence, limit: Int) {
    self.topic = topic
    self.dueMs = dueMs
    self.afterDueMs = afterDueMs
    self.afterSequence = afterSequence
    self.limit = limit
  }
}

/// A message found in a slice.
public struct SliceListEntry: Sendable {
  /// Hash of topic and id.
  public var hash: IDHash
  /// File position.
  public var position: Int
  /// The record without its body.
  public var bytes: [UInt8]
  /// Due time.
  public var dueMs: UnixMs
  /// Sequence of acceptance.
  public var sequence: Sequence
}

/// Takes a task through the write lane into the read lane.
private final class LaneChange: IOTask, @unchecked Sendable {
  private let io: any IOQueue
  private let task: IOTask

  init(_ io: any IOQueue, _ task: IOTask) {
    self.io = io
    self.task = task
  }

  override func finished() { io.submit(task, .read) }
}

private final class RecordReadTask: IOTask, @unchecked Sendable {
  private let store: DelayStore
  private let slice: Slice
  private let path: String
  private let place: MessagePlace
  private let position: Int
  private let done: (ColdRecord?) -> Void
  private var memory: Chunk?

  init(
    _ store: DelayStore, _ slice: Slice, place: MessagePlace, position: Int, done: @escaping (ColdRecord?) -> Void
  ) {
    self.store = store
    self.slice = slice
    path = slice.file.path
    self.place = place
    self.position = position
    self.done = done
  }

  override func run(_ files: OpenFiles) throws(StorageError) {
    let file = try files.file(path, create: false)
    var wanted = 4096
    while true {
      let memory = Chunk(filePosition: position, capacity: wanted)
      let room = UnsafeMutableRawBufferPointer(start: memory.base, count: wanted)
      let count = try files.storage.read(file, at: position, into: room)
      let announced = count >= 4 ? MessageRecord(memory.base).length : 0
      if announced > wanted, count == wanted {
        wanted = announced
        continue
      }
      let bytes = UnsafeRawBufferPointer(start: memory.base, count: count)
      guard MessageRecord.validated(bytes) != nil else {
        throw StorageError(
          kind: .damaged, operation: "read", path: path,
          reason: "the record at byte \(position) does not match its checksum")
      }
      self.memory = memory
      return
    }
  }

  override func finished() {
    // When the slice was dropped, its number may be another one's by now.
    guard let memory, !store.isDropped(slice) else { return done(nil) }
    done(ColdRecord(place: place, memory: memory))
  }

  override func canIgnoreFailure() -> Bool {
    guard store.isDropped(slice) else { return false }
    done(nil)
    return true
  }
}

private final class SliceListTask: IOTask, @unchecked Sendable {
  private let store: DelayStore
  private let slice: Slice
  private let path: String
  private let length: Int
  private let hasher: SipHash128
  private let request: SliceListRequest
  private let done: ([SliceListEntry]) -> Void
  private var entries: [SliceListEntry] = []

  init(
    _ store: DelayStore, _ slice: Slice, _ request: SliceListRequest, _ done: @escaping ([SliceListEntry]) -> Void
  ) {
    self.store = store
    self.slice = slice
    path = slice.file.path
    length = slice.file.length
    hasher = store.hasher
    self.request = request
    self.done = done
  }

  override func run(_ files: OpenFiles) throws(StorageError) {
    // Two passes, since a tombstone stands behind the record that it is for: memory stays at the page plus the tombstones.
    var dead: Set<Int> = []
    try DelayStore.forEachRecord(files, path, length, hasher) { record, _, _ in
      if record.kind == RecordKind.tombstone { dead.insert(Int(record.sequence)) }
    }
    try DelayStore.forEachRecord(files, path, length, hasher) { record, hash, position in
      if record.kind == RecordKind.message, record.topic == request.topic, !dead.contains(position) {
        consider(record, hash, position)
      }
    }
  }

  private func consider(_ record: MessageRecord, _ hash: IDHash, _ position: Int) {
    let key = (record.dueMs, record.sequence)
    guard request.dueMs.contains(key.0), key > (request.afterDueMs, request.afterSequence) else { return }
    if entries.count == request.limit, let last = entries.last, key > (last.dueMs, last.sequence) { return }
    var low = 0
    var high = entries.count
    while low < high {
      let middle = (low + high) / 2
      if (entries[middle].dueMs, entries[middle].sequence) < key { low = middle + 1 } else { high = middle }
    }
    // The record up to its body: all that a listing shows.
    let shown = record.body.baseAddress.map { $0 - UnsafeRawPointer(record.base) } ?? record.length
    let entry = SliceListEntry(
      hash: hash, position: position, bytes: Array(record.bytes.prefix(shown)),
      dueMs: key.0, sequence: key.1)
    entries.insert(entry, at: low)
    if entries.count > request.limit { entries.removeLast() }
  }

  override func finished() { done(entries) }

  override func canIgnoreFailure() -> Bool {
    guard store.isDropped(slice) else { return false }
    done([])
    return true
  }
}
