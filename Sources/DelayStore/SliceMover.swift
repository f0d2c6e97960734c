// Demotion across the disk boundary: reads a slice whose time is near, block by block, and sends its messages into memory
// (finest slices) or into finer slices (all others).
//
// Holds: one slice moves at a time; a block is at most `blockBytes` plus one record, so that one turn of the loop handles
// about a thousand messages; a message moves only if the index still places it at just this position, so that one which
// was cancelled or moved away meanwhile is left behind.
// Leaves to others: when to move which slice (DelayStore+Hand).

import DataFiles
import Primitives

/// Streams one slice out of its file.
final class SliceMover {
  let store: DelayStore
  let slice: Slice
  private var position = 0
  private var reading = false
  private let length: Int

  static let blockBytes = 256 << 10

  init(_ store: DelayStore, _ slice: Slice) {
    self.store = store
    self.slice = slice
    slice.phase = .moving
    // The end of the slice may be in memory only; the mover reads the file.
    slice.file.flush()
    length = slice.file.length
  }

  /// Goes on if it can: reads the next block once the file is written that far. Gives true when the slice is through.
  func step() -> Bool {
    if slice.onDiskCount == 0 || position >= length { return !reading }
    if !reading, slice.file.writtenLength >= length {
      reading = true
      store.io.submit(SliceBlockTask(self, path: slice.file.path, from: position, to: length), .read)
    }
    return false
  }

  fileprivate func took(_ block: SliceBlock) {
    reading = false
    if let damage = block.damage {
      store.owner?.storeIsDamaged(damage)
      return
    }
    for found in block.found {
      let record = MessageRecord(block.memory.base + found.place)
      let filePosition = position + found.place
      guard store.index.find(found.hash) == .disk(slice: slice.number, position: filePosition) else { continue }
      move(record, found.hash, filePosition)
    }
    position += block.bytes
  }

  private func move(_ record: MessageRecord, _ hash: IDHash, _ filePosition: Int) {
    if slice.key.level == 0, let owner = store.owner, !owner.hasRoomNear, owner.isAlive(topic: record.topic) {
      let spilled = SpilledMessage(record, dueMs: record.dueMs, position: filePosition)
      return owner.wasSpilled(spilled, topic: record.topic)
    }
    slice.onDiskCount -= 1
    store.onDiskCount -= 1
    store.cameNearCount += 1
    guard let owner = store.owner, owner.isAlive(topic: record.topic) else {
      store.index.remove(hash)
      slice.bury(filePosition)
      return
    }
    if slice.key.level == 0 {
      owner.cameNear(record, hash: hash, slice: slice.number, position: filePosition)
    } else {
      store.insert(record, dueMs: record.dueMs, hash: hash)
    }
  }
}

/// The messages of one block of a slice.
struct SliceBlock {
  struct Found {
    var place: Int
    var hash: IDHash
  }

  let memory: Chunk
  /// Bytes of whole records.
  var bytes = 0
  var found: [Found] = []
  var damage: StorageError?

  /// Reads and checks the records of `path` in [from, to), as many whole ones as fit in about `SliceMover.blockBytes`.
  init(_ files: OpenFiles, path: String, from: Int, to: Int, hasher: SipHash128) throws(StorageError) {
    var wanted = min(SliceMover.blockBytes, to - from)
    let file = try files.file(path, create: false)
    while true {
      let memory = Chunk(filePosition: from, capacity: wanted)
      let room = UnsafeMutableRawBufferPointer(start: memory.base, count: wanted)
      let count = try files.storage.read(file, at: from, into: room)
      // A record longer than a block: read again, as much as it needs.
      if count == wanted, count >= 4, MessageRecord(memory.base).length > count, wanted < to - from {
        wanted = min(max(MessageRecord(memory.base).length, wanted * 2), to - from)
        continue
      }
      memory.fill(to: count)
      self.memory = memory
      break
    }
    parse(path: path, isLast: from + memory.used >= to, hasher: hasher)
  }

  private mutating func parse(path: String, isLast: Bool, hasher: SipHash128) {
    while bytes < memory.used {
      let rest = UnsafeRawBufferPointer(start: memory.base + bytes, count: memory.used - bytes)
      guard let record = MessageRecord.validated(rest) else {
        let announced = rest.count >= 4 ? MessageRecord(memory.base + bytes).length : 0
        // The block ends inside a record: the next block starts with it.
        if !isLast, bytes > 0, rest.count < MessageRecord.headerLength || announced > rest.count { return }
        damage = StorageError(
          kind: .damaged, operation: "read", path: path,
          reason: "the record at byte \(memory.filePosition + bytes) does not match its checksum")
        return
      }
      if record.kind != RecordKind.tombstone {
        found.append(Found(place: bytes, hash: hasher.hash(topic: record.topic, id: record.id)))
      }
      bytes += record.length
    }
  }
}

private final class SliceBlockTask: IOTask, @unchecked Sendable {
  private let mover: SliceMover
  private let path: String
  private let from: Int
  private let to: Int
  private let hasher: SipHash128
  private var block: SliceBlock?

  init(_ mover: SliceMover, path: String, from: Int, to: Int) {
    self.mover = mover
    self.path = path
    self.from = from
    self.to = to
    hasher = mover.store.hasher
  }

  override func run(_ files: OpenFiles) throws(StorageError) {
    block = try SliceBlock(files, path: path, from: from, to: to, hasher: hasher)
  }

  override func finished() {
    if let block { mover.took(block) }
  }
}
