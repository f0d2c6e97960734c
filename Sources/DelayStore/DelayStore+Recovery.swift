// A start: the slices that a checkpoint names are read back into the index and, if they are near, into memory, as far as there is
// room. After a clean stop of a large store the index comes from its file instead.

import DataFiles
import Primitives

extension DelayStore {
  /// Takes over the slices of a checkpoint whose hand stood at `routedMs`. What lies behind `length` in a file was not part
  /// of the checkpoint and is cut off: the journal has it. With the index file of that checkpoint, slices ahead of the hand are not
  /// read; all others are read whole, and every record is checked.
  ///
  /// - Parameters:
  ///   - stamp: names the checkpoint; nil to read every slice.
  ///   - isPending: whether a message that no tombstone names is pending: it had not left already, and its topic is there.
  ///     Called once for each that is read.
  ///   - counted: is called before that with what is pending in each topic, those that will be read included, if there is an index
  ///     file.
  /// - Throws: `damaged` when a file is shorter than the checkpoint says or a record does not match its checksum.
  public func recover(
    _ states: [SliceState], routedMs: UnixMs, files: OpenFiles, stamp: IndexStamp? = nil,
    counted: ([PendingCount]) -> Void = { _ in }, isPending: (MessageRecord) -> Bool
  ) throws(StorageError) {
    self.routedMs = routedMs
    loadedMs = routedMs
    var unread: [Slice] = []
    for state in states {
      let isNear = layout.endMs(state.key) <= routedMs
      let slice = addSlice(
        state.key, generation: state.generation, length: state.length, phase: isNear ? .near : .ahead)
      try cut(slice.file.path, to: state.length, files)
      unread.append(slice)
    }
    if let stamp, let counts = loadIndexFile(stamp, storage: files.storage) {
      counted(counts)
      unread.removeAll { $0.phase == .ahead }
    }
    var found: [(slice: Slice, contents: SliceOutline)] = []
    for slice in unread {
      found.append((slice, try SliceOutline(files, path: slice.file.path, length: slice.file.length)))
    }
    if index.count == 0 { index.reserve(found.reduce(0) { $0 + $1.contents.messageCount - $1.contents.dead.count }) }
    for (slice, contents) in found { try recover(slice, contents.dead, files, isPending) }
  }

  private func recover(
    _ slice: Slice, _ dead: Set<Int>, _ files: OpenFiles, _ isPending: (MessageRecord) -> Bool
  ) throws(StorageError) {
    try Self.forEachBlock(files, slice.file.path, slice.file.length, hasher) { block, from in
      for (place, found) in block.found.enumerated() {
        // Each entry is in a cache line of its own; asked for ahead, they come at the same time.
        if place + 24 < block.found.count { index.prefetchPath(block.found[place + 24].hash) }
        if place + 12 < block.found.count { index.prefetchEntry(block.found[place + 12].hash) }
        let position = from + found.place
        let record = MessageRecord(block.memory.base + found.place)
        guard dead.isEmpty || !dead.contains(position), isPending(record) else { continue }
        if slice.phase == .near, let owner, owner.hasRoomNear {
          owner.cameNear(record, hash: found.hash, slice: slice.number, position: position)
          continue
        }
        slice.onDiskCount += 1
        onDiskCount += 1
        index.set(found.hash, .disk(slice: slice.number, position: position))
        if slice.phase == .near {
          let spilled = SpilledMessage(record, dueMs: record.dueMs, position: position)
          owner?.wasSpilled(spilled, topic: record.topic)
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

  /// Calls `body` with every record of a slice file and its position; the hash is of use for messages only.
  public static func forEachRecord(
    _ files: OpenFiles, _ path: String, _ length: Int, _ hasher: SipHash128,
    _ body: (MessageRecord, IDHash, Int) -> Void
  ) throws(StorageError) {
    try forEachBlock(files, path, length, hasher) { block, from in
      var place = 0
      var messages = block.found[...]
      while place < block.bytes {
        let record = MessageRecord(block.memory.base + place)
        var hash = IDHash(low: 0, high: 0)
        if let next = messages.first, next.place == place {
          hash = next.hash
          messages.removeFirst()
        }
        body(record, hash, from + place)
        place += record.length
      }
    }
  }

  /// Calls `body` with every block of a slice file and the position where it begins.
  private static func forEachBlock(
    _ files: OpenFiles, _ path: String, _ length: Int, _ hasher: SipHash128, _ body: (SliceBlock, Int) -> Void
  ) throws(StorageError) {
    var from = 0
    while from < length {
      let block = try SliceBlock(files, path: path, from: from, to: length, hasher: hasher)
      if let damage = block.damage { throw damage }
      body(block, from)
      precondition(block.bytes > 0, "a block without a record")
      from += block.bytes
    }
  }
}

/// What a slice file holds, by the lengths and kinds of its records alone: a tombstone names a message in front of it, so that it must
/// be known before that one is taken up. What is damaged ends the outline; reading the slice says so.
private struct SliceOutline {
  /// Where the messages are that a tombstone names.
  var dead: Set<Int> = []
  /// Messages, those included.
  var messageCount = 0

  init(_ files: OpenFiles, path: String, length: Int) throws(StorageError) {
    let file = try files.file(path, create: false)
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 8)
    defer { buffer.deallocate() }
    var from = 0
    while from < length {
      let count = try files.storage.read(
        file, at: from, into: UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(length - from)))
      var place = 0
      while place + MessageRecord.headerLength <= count {
        let record = MessageRecord(buffer.baseAddress! + place)
        guard record.length >= MessageRecord.headerLength else { return }
        if record.kind == RecordKind.tombstone { dead.insert(Int(record.sequence)) } else { messageCount += 1 }
        place += record.length
      }
      if place == 0 { return }
      from += place
    }
  }
}
