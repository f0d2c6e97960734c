// The file `checkpoint`: the identity of the log, and the state as of one record.
//
// Holds: it is replaced whole, by renaming a synced file over it, so there is always one that is whole. Bytes,
// little-endian: 8 magic "ESCAPECP", u32 version (1 or 2), u32 CRC-32C of all that follows, u64+u64 store id, u64+u64 hash key,
// i64 slice width in ms, u64 sequence, u64 length of the state, the state (Broker's `Checkpoint.swift`). In version 2 the log's
// mark follows, up to the end of the file; a checkpoint without a mark is of version 1.
// Leaves to others: what the state means, whose the identity is (the log's; a log that is kept elsewhere has it there, too).

import DataFiles
import DecisionLog
import DelayStore
import Primitives

/// A checkpoint as it stands on disk.
public struct CheckpointFile {
  /// The identity of the log whose records made the state.
  public var identity: LogIdentity
  /// The width of its finest slices.
  public var sliceMs: Int64
  /// The last record that is in the state.
  public var sequence: Sequence
  /// The broker's state.
  public var state: ArraySlice<UInt8>
  /// What the log needs besides the sequence to go on behind it (`DecisionLog.mark`); empty for most.
  public var mark: [UInt8] = []
  /// Names it, for the index file that goes with it; nil for one that was not read.
  private(set) var stamp: IndexStamp?

  /// Where it stands in its folder.
  public static let path = "checkpoint"
  /// Where it stands before it is whole.
  public static let newPath = "checkpoint.new"
  private static let magic: [UInt8] = Array("ESCAPECP".utf8)
  private static let version: UInt32 = 1
  private static let versionWithMark: UInt32 = 2
  private static let headerBytes = 72

  /// The bytes of the file.
  func encoded() -> [UInt8] {
    var bytes = Self.magic
    func write<T: FixedWidthInteger>(_ value: T) {
      withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }
    write(mark.isEmpty ? Self.version : Self.versionWithMark)
    write(UInt32(0))
    for id in [identity.store, identity.hashKey] {
      write(id.low)
      write(id.high)
    }
    write(sliceMs)
    write(sequence)
    write(UInt64(state.count))
    bytes.append(contentsOf: state)
    bytes.append(contentsOf: mark)
    bytes.withUnsafeMutableBytes { raw in
      let checksum = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: raw[16...]))
      raw.storeBytes(of: checksum.littleEndian, toByteOffset: 12, as: UInt32.self)
    }
    return bytes
  }

  /// Reads the checkpoint of a folder; nil when it has none.
  ///
  /// - Parameter path: where it stands; another one only for a checkpoint that is not in place yet.
  /// - Throws: `damaged` when the file is not a whole checkpoint; `failed` when it is of a version that is not known.
  public static func load(
    _ storage: any Storage, path: String = Self.path
  ) throws(StorageError) -> CheckpointFile? {
    let file: FileID
    do throws(StorageError) {
      file = try storage.open(path, create: false)
    } catch  where error.kind == .notFound {
      return nil
    }
    defer { storage.close(file) }
    let memory = Chunk(filePosition: 0, capacity: try storage.size(file))
    let room = UnsafeMutableRawBufferPointer(start: memory.base, count: memory.capacity)
    let count = try storage.read(file, at: 0, into: room)
    return try decode(Array(room[..<count]))
  }

  private static func decode(_ bytes: [UInt8]) throws(StorageError) -> CheckpointFile {
    func damaged(_ reason: String) -> StorageError {
      StorageError(kind: .damaged, operation: "read", path: path, reason: reason)
    }
    guard bytes.count >= headerBytes, bytes.starts(with: magic) else { throw damaged("it is not a checkpoint") }
    func word(_ offset: Int) -> UInt64 {
      bytes.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) }
    }
    let found = UInt32(truncatingIfNeeded: word(8))
    guard found == version || found == versionWithMark else {
      let reason =
        "it is of format version \(found), and this program reads \(version) and \(versionWithMark); use the program that wrote it"
      throw StorageError(kind: .failed, operation: "read", path: path, reason: reason)
    }
    let checksum = bytes.withUnsafeBytes { CRC32C.checksum(UnsafeRawBufferPointer(rebasing: $0[16...])) }
    guard checksum == UInt32(truncatingIfNeeded: word(8) >> 32) else { throw damaged("it does not match its checksum") }
    let restBytes = UInt64(bytes.count - headerBytes)
    guard found == version ? word(64) == restBytes : word(64) < restBytes else {
      throw damaged("its length is not what it says")
    }
    let markStart = headerBytes + Int(word(64))
    let identity = LogIdentity(
      store: StoreID(low: word(16), high: word(24)), hashKey: StoreID(low: word(32), high: word(40)))
    return CheckpointFile(
      identity: identity, sliceMs: Int64(bitPattern: word(48)), sequence: word(56),
      state: bytes[headerBytes..<markStart],
      mark: Array(bytes[markStart...]), stamp: IndexStamp(sequence: word(56), checksum: checksum))
  }

  /// Puts the checkpoint in the place of the one before, durably; gives its name, for the index file that goes with it.
  @discardableResult
  public func save(_ storage: any Storage) throws(StorageError) -> IndexStamp {
    let file = try storage.open(Self.newPath, create: true)
    defer { storage.close(file) }
    try storage.truncate(file, to: 0)
    let bytes = encoded()
    let memory = Chunk(filePosition: 0, capacity: bytes.count)
    memory.base.copyMemory(from: bytes, byteCount: bytes.count)
    try storage.write(file, at: 0, UnsafeRawBufferPointer(start: memory.base, count: bytes.count))
    try storage.sync(file)
    try storage.rename(Self.newPath, to: Self.path)
    try storage.syncDirectory("")
    let checksum = bytes.withUnsafeBytes { UInt32(littleEndian: $0.load(fromByteOffset: 12, as: UInt32.self)) }
    return IndexStamp(sequence: sequence, checksum: checksum)
  }
}
