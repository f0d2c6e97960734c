// A start: the slices that a checkpoint names are read back into the index and, if they are near, into memory.

import DataFiles
import Primitives

extension DelayStore {
  /// Takes over the slices of a checkpoint whose hand stood at `routedMs`. What lies behind `length` in a file was not part
  /// of the checkpoint and is cut off: the journal has it. Reads every slice whole and checks every record.
  ///
  /// - Parameter isPending: whether a message that no tombstone names is pending: it had not left already, and its topic is there.
  ///   Called once for each.
  /// - Throws: `damaged` when a file is shorter than the checkpoint says or a record does not match its checksum.
  public func recover(
    _ states: [SliceState], routedMs: UnixMs, files: OpenFiles, isPending: (MessageRecord) -> Bool
  ) throws(StorageError) {
    self.routedMs = routedMs
    loadedMs = routedMs
    for state in states {
      let isNear = layout.endMs(state.key) <= routedMs
      let slice = addSlice(
        state.key, generation: state.generation, length: state.length, phase: isNear ? .inMemory : .ahead)
      try cut(slice.file.path, to: state.length, files)
      let dead = try tombstones(slice, files)
      try Self.forEachRecord(files, slice.file.path, state.length, hasher) { record, hash, position in
        guard record.kind != RecordKind.tombstone, !dead.contains(position), isPending(record) else { return }
        if isNear {
          owner?.cameNear(record, hash: hash, slice: slice.number, position: position)
        } else {
          slice.onDiskCount += 1
          onDiskCount += 1
          index.set(hash, .disk(slice: slice.number, position: position))
        }
      }
    }
  }

  private func cut(_ path: String, to length: Int, _ files: OpenFiles) throws(StorageError) {
    let file = try files.file(path, create: length == 0)
    let size = try files.storage.size(file)
    guard size >= length else {
      throw StorageError(
        kind: .damaged, operation: "open", path: path,
        reason: "it has \(size) bytes where the checkpoint has \(length)")
    }
    if size > length { try files.storage.truncate(file, to: length) }
  }

  private func tombstones(_ slice: Slice, _ files: OpenFiles) throws(StorageError) -> Set<Int> {
    var dead: Set<Int> = []
    try Self.forEachRecord(files, slice.file.path, slice.file.length, hasher) { record, _, _ in
      if record.kind == RecordKind.tombstone { dead.insert(Int(record.sequence)) }
    }
    return dead
  }

  /// Calls `body` with every record of a slice file and its position; the hash is of use for messages only.
  public static func forEachRecord(
    _ files: OpenFiles, _ path: String, _ length: Int, _ hasher: SipHash128,
    _ body: (MessageRecord, IDHash, Int) -> Void
  ) throws(StorageError) {
    var from = 0
    while from < length {
      let block = try SliceBlock(files, path: path, from: from, to: length, hasher: hasher)
      if let damage = block.damage { throw damage }
      var place = 0
      while place < block.bytes {
        let record = MessageRecord(block.memory.base + place)
        body(record, hasher.hash(topic: record.topic, id: record.id), from + place)
        place += record.length
      }
      precondition(block.bytes > 0, "a block without a record")
      from += block.bytes
    }
  }
}
