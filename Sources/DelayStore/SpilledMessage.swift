// Messages that are near and lie on disk nevertheless, because memory for near messages is used up: the owner keeps a reference
// to each, in the order of release, and has them brought back in parts shortly before their time.
//
// Holds: a spilled message lies in the finest slice of its time, where its copy for a checkpoint would lie, and the index says so.
// Leaves to others: which messages are spilled, in which order and when they are brought back (the owner).

import DataFiles
import Primitives

/// Where a near message lies on disk, and when it leaves; 24 bytes.
public struct SpilledMessage: BitwiseCopyable, Sendable {
  /// When it may be released.
  public let dueMs: UnixMs
  /// Its sequence of acceptance.
  public let sequence: Sequence
  // Both are multiples of 8: 37 bits of position, 27 of length.
  private let place: UInt64

  /// Stands for no message, behind all others.
  public static let none = SpilledMessage()

  private init() {
    dueMs = .max
    sequence = .max
    place = 0
  }

  init(_ record: MessageRecord, dueMs: UnixMs, position: Int) {
    self.dueMs = dueMs
    sequence = record.sequence
    precondition(record.length < 1 << 30, "a message is shorter than 1 GiB")
    place = UInt64(position >> 3) << 27 | UInt64(record.length >> 3)
  }

  /// Its position in its slice.
  public var position: Int { Int(place >> 27) << 3 }
  /// Bytes of its record.
  public var length: Int { Int(place & (1 << 27 - 1)) << 3 }
}

extension DelayStore {
  /// Takes a near message that has no room in memory. O(1).
  public func spill(_ record: MessageRecord, dueMs: UnixMs, hash: IDHash) -> SpilledMessage {
    let slice = slice(for: SliceKey(level: 0, number: dueMs / layout.sliceMs), phase: .near)
    let position = slice.append(record, dueMs: dueMs)
    slice.onDiskCount += 1
    onDiskCount += 1
    index.set(hash, .disk(slice: slice.number, position: position))
    return SpilledMessage(record, dueMs: dueMs, position: position)
  }

  /// Brings spilled messages of one slice into memory, as far as they are pending still. `done` is called on the loop when all
  /// have come, at once when none of them has to be read from disk.
  public func bringBack(_ messages: [SpilledMessage], done: @escaping () -> Void) {
    guard let first = messages.first else { return done() }
    let slice = slice(of: first)
    var written: [SpilledMessage] = []
    for message in messages {
      if message.position >= slice.file.writtenLength,
        let base = slice.file.unwrittenBytes(at: message.position, count: message.length)?.baseAddress
      {
        let record = MessageRecord(base)
        comeBack(record, hasher.hash(topic: record.topic, id: record.id), slice, message.position)
      } else {
        written.append(message)
      }
    }
    if written.isEmpty { return done() }
    io.submit(SpilledReadTask(self, slice, written, done), .read)
  }

  /// The number of the slice in which a spilled message lies.
  public func sliceNumber(of message: SpilledMessage) -> UInt32 { slice(of: message).number }

  /// Whether the messages of a slice are near: those that it has on disk are spilled.
  public func isNear(slice number: UInt32) -> Bool { existing(number).phase == .near }

  private func slice(of message: SpilledMessage) -> Slice {
    guard let slice = slices[SliceKey(level: 0, number: message.dueMs / layout.sliceMs)] else {
      preconditionFailure("the slice of a spilled message is not there")
    }
    return slice
  }

  fileprivate func comeBack(_ record: MessageRecord, _ hash: IDHash, _ slice: Slice, _ position: Int) {
    // Cancelled, replaced or moved meanwhile.
    guard index.find(hash) == .disk(slice: slice.number, position: position) else { return }
    slice.onDiskCount -= 1
    onDiskCount -= 1
    cameNearCount += 1
    guard let owner, owner.isAlive(topic: record.topic) else {
      index.remove(hash)
      slice.bury(position)
      return
    }
    owner.cameNear(record, hash: hash, slice: slice.number, position: position)
  }
}

/// Reads spilled messages, those that lie close together at once.
private final class SpilledReadTask: IOTask, @unchecked Sendable {
  /// What lies between two messages is read along with them when it is no more than this.
  private static let gapBytesMax = 1024

  private struct Found {
    var memory: Chunk
    var place: Int
    var hash: IDHash
  }

  private let store: DelayStore
  private let slice: Slice
  private let path: String
  private let hasher: SipHash128
  private let messages: [SpilledMessage]
  private let done: () -> Void
  private var found: [Found?]

  init(_ store: DelayStore, _ slice: Slice, _ messages: [SpilledMessage], _ done: @escaping () -> Void) {
    self.store = store
    self.slice = slice
    path = slice.file.path
    hasher = store.hasher
    self.messages = messages
    self.done = done
    found = Array(repeating: nil, count: messages.count)
  }

  override func run(_ files: OpenFiles) throws(StorageError) {
    let file = try files.file(path, create: false)
    let order = messages.indices.sorted { messages[$0].position < messages[$1].position }
    var next = 0
    while next < order.count {
      let from = messages[order[next]].position
      var to = from
      let first = next
      while next < order.count, messages[order[next]].position - to <= Self.gapBytesMax {
        to = messages[order[next]].position + messages[order[next]].length
        next += 1
      }
      let memory = Chunk(filePosition: from, capacity: to - from)
      let room = UnsafeMutableRawBufferPointer(start: memory.base, count: to - from)
      memory.fill(to: try files.storage.read(file, at: from, into: room))
      for number in order[first..<next] { found[number] = try check(messages[number], memory) }
    }
  }

  private func check(_ message: SpilledMessage, _ memory: Chunk) throws(StorageError) -> Found {
    let place = message.position - memory.filePosition
    let count = max(0, min(message.length, memory.used - place))
    guard let record = MessageRecord.validated(UnsafeRawBufferPointer(start: memory.base + place, count: count)) else {
      throw StorageError(
        kind: .damaged, operation: "read", path: path,
        reason: "the record at byte \(message.position) does not match its checksum")
    }
    return Found(memory: memory, place: place, hash: hasher.hash(topic: record.topic, id: record.id))
  }

  override func finished() {
    for (number, found) in found.enumerated() {
      if number + 8 < self.found.count, let later = self.found[number + 8] { store.index.prefetchEntry(later.hash) }
      guard let found else { preconditionFailure("a spilled message was not read") }
      store.comeBack(MessageRecord(found.memory.base + found.place), found.hash, slice, messages[number].position)
    }
    done()
  }
}
