// Puts an archive of another node's folder in the place of this node's.
//
// Holds: the folder is emptied when the archive has begun, and gets its checkpoint when all of it has come and is durable; in
// between it counts as an empty one, also after a crash. Nothing is written outside of it, and nothing taken on trust: paths,
// sizes, checksums, and that the checkpoint has all files that it names. Memory for one block and the names of the files.
// Leaves to others: carrying the bytes, and opening the folder (Shard).

import Engine
import Primitives

/// A folder on its way from another node. One thread's own; it writes to disk and blocks.
public final class FolderArchiveReader {
  /// Whether all has come, and is durable.
  public private(set) var isFinished = false

  private let storage: any Storage
  private var pending: [UInt8] = []
  private var hasBegun = false
  private var hasFailed = false
  private var open: (file: FileID, path: String, place: Int, size: Int)?
  private var sizes: [String: Int] = [:]
  private static let filesMax = 4 << 20

  /// For the data folder of the shard, whose engine must not be open.
  public init(_ storage: any Storage) { self.storage = storage }

  deinit { if let open { storage.close(open.file) } }

  /// Takes the next bytes, in pieces of any size.
  ///
  /// - Throws: `damaged` for what is no whole archive; what the disk says. The archive is useless then, and begun anew.
  public func take(_ bytes: UnsafeRawBufferPointer) throws(StorageError) {
    if hasFailed { throw damaged("more of an archive that was refused") }
    do throws(StorageError) {
      pending += bytes
      var start = 0
      while let end = try blockEnd(from: start) {
        try takeBlock(Array(pending[(start + FolderArchive.headerBytes - 1)..<end]))
        start = end
      }
      pending.removeFirst(start)
    } catch {
      hasFailed = true
      throw error
    }
  }

  private func blockEnd(from start: Int) throws(StorageError) -> Int? {
    guard pending.count - start >= FolderArchive.headerBytes else { return nil }
    let payloadBytes = pending.little(UInt32.self, at: start)
    guard payloadBytes <= FolderArchive.payloadBytesMax else { throw damaged("a block of \(payloadBytes) bytes") }
    let end = start + FolderArchive.headerBytes + Int(payloadBytes)
    guard pending.count >= end else { return nil }
    let checksum = pending.withUnsafeBytes {
      CRC32C.checksum(UnsafeRawBufferPointer(rebasing: $0[(start + FolderArchive.headerBytes - 1)..<end]))
    }
    guard checksum == pending.little(UInt32.self, at: start + 4) else { throw damaged("a block fails its checksum") }
    return end
  }

  /// A block from its kind on.
  private func takeBlock(_ block: [UInt8]) throws(StorageError) {
    let payload = Array(block.dropFirst())
    guard !isFinished, let kind = FolderArchive.Kind(rawValue: block[0]), (kind == .archive) == !hasBegun else {
      throw damaged("a block that does not belong there")
    }
    switch kind {
    case .archive: try begin(payload)
    case .file: try beginFile(payload)
    case .data: try takeData(payload)
    case .end: try end(payload)
    }
  }

  private func begin(_ payload: [UInt8]) throws(StorageError) {
    guard payload.count == 12, payload.starts(with: FolderArchive.magic),
      payload.little(UInt32.self, at: 8) == FolderArchive.version
    else { throw damaged("it is not an archive of a version that is known") }
    hasBegun = true
    try Engine.clear(storage)
  }

  private func beginFile(_ payload: [UInt8]) throws(StorageError) {
    try finishFile()
    guard payload.count > 8, let size = Int(exactly: payload.little(UInt64.self, at: 0)),
      let path = String(validating: payload[8...], as: UTF8.self),
      path == CheckpointFile.path || FolderArchive.isGood(path: path)
    else { throw damaged("a file with a name or a size that cannot be") }
    guard sizes.count < Self.filesMax, sizes[CheckpointFile.path] == nil, sizes.updateValue(size, forKey: path) == nil
    else { throw damaged("\(path) comes twice, or behind the checkpoint") }
    let isCheckpoint = path == CheckpointFile.path
    let place = isCheckpoint ? CheckpointFile.newPath : path
    if !isCheckpoint { try storage.makeDirectory(Self.folder(of: place)) }
    let file = try storage.open(place, create: true)
    open = (file, place, 0, size)
    try storage.truncate(file, to: 0)
  }

  private func takeData(_ payload: [UInt8]) throws(StorageError) {
    guard let (file, path, place, size) = open, !payload.isEmpty, payload.count <= size - place else {
      throw damaged("bytes that belong to no file")
    }
    var failure: StorageError?
    payload.withUnsafeBytes { bytes in
      do throws(StorageError) { try storage.write(file, at: place, bytes) } catch { failure = error }
    }
    if let failure { throw failure }
    open = (file, path, place + payload.count, size)
  }

  private func finishFile() throws(StorageError) {
    guard let (file, path, place, size) = open else { return }
    guard place == size else { throw damaged("\(path) has \(place) bytes of \(size)") }
    try storage.sync(file)
    storage.close(file)
    open = nil
  }

  private func end(_ payload: [UInt8]) throws(StorageError) {
    try finishFile()
    guard payload.count == 8, payload.little(UInt64.self, at: 0) == UInt64(sizes.count) else {
      throw damaged("files are missing")
    }
    guard let file = try CheckpointFile.load(storage, path: CheckpointFile.newPath), let counted = file.countedFiles,
      LogMark(decoding: file.mark) != nil
    else { throw damaged("it has no checkpoint of a cluster") }
    for (path, length) in counted where sizes[path, default: -1] < length {
      throw damaged("\(path) is not all there")
    }
    for folder in Set(sizes.keys.flatMap(Self.folders)).sorted() { try storage.syncDirectory(folder) }
    try storage.rename(CheckpointFile.newPath, to: CheckpointFile.path)
    try storage.syncDirectory("")
    isFinished = true
  }

  private static func folder(of path: String) -> String {
    String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
  }

  /// The folders that a path stands in, the data folder too.
  private static func folders(of path: String) -> [String] {
    let folder = folder(of: path)
    return folder.isEmpty ? [""] : [folder] + folders(of: folder)
  }

  private func damaged(_ reason: String) -> StorageError {
    StorageError(kind: .damaged, operation: "copy", path: "the folder of another node", reason: reason)
  }
}
