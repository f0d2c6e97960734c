// Gives the files of a finished snapshot as an archive, piece by piece.
//
// Holds: memory for one block; of each file as much as its checkpoint counts.
// Leaves to others: making the snapshot (Engine), removing it (the owner).

import Engine
import Primitives

/// A folder on its way to another node. One thread's own; it reads from disk and blocks.
public final class FolderArchiveWriter {
  /// Where the checkpoint stands in the log. The leader must know of it, in the name of the node that gets the folder, before it
  /// truncates the stream further.
  public let mark: LogMark

  private let storage: any Storage
  private var files: [(path: String, size: Int)]
  private var nextFile = 0
  private var open: (file: FileID, path: String, place: Int, size: Int)?
  private var hasBegun = false
  private var hasEnded = false

  /// For the folder of a snapshot.
  ///
  /// - Throws: `damaged` when it is not the folder of a node of a cluster.
  public init(_ storage: any Storage) throws(StorageError) {
    let file = try CheckpointFile.load(storage)
    guard let file, let counted = file.countedFiles, let mark = LogMark(decoding: file.mark) else {
      throw StorageError(
        kind: .damaged, operation: "copy", path: CheckpointFile.path, reason: "it is not the checkpoint of a cluster")
    }
    self.storage = storage
    self.mark = mark
    files = []
    for (path, length) in counted {
      files.append((path, length))
      // The index of a segment spares the other side the making of it.
      if path.hasSuffix(".log"), let size = try Self.size(of: path.dropLast(4) + ".index", storage) {
        files.append((path.dropLast(4) + ".index", size))
      }
    }
    guard let size = try Self.size(of: CheckpointFile.path, storage) else { preconditionFailure("it was just read") }
    files.append((CheckpointFile.path, size))
  }

  deinit { if let open { storage.close(open.file) } }

  private static func size(of path: String, _ storage: any Storage) throws(StorageError) -> Int? {
    let file: FileID
    do throws(StorageError) { file = try storage.open(path, create: false) } catch  where error.kind == .notFound {
      return nil
    }
    defer { storage.close(file) }
    return try storage.size(file)
  }

  /// The next bytes, about 1 MiB at most; nil behind the last ones. O(bytes).
  public func next() throws(StorageError) -> [UInt8]? {
    if !hasBegun {
      hasBegun = true
      var payload = FolderArchive.magic
      payload.append(little: FolderArchive.version)
      return FolderArchive.block(.archive, payload)
    }
    if let block = try nextData() { return block }
    guard nextFile < files.count else { return end() }
    let (path, size) = files[nextFile]
    nextFile += 1
    // A file of which nothing counts need not be there.
    open = (try storage.open(path, create: size == 0), path, 0, size)
    var payload: [UInt8] = []
    payload.append(little: UInt64(size))
    return FolderArchive.block(.file, payload + path.utf8)
  }

  private func nextData() throws(StorageError) -> [UInt8]? {
    guard let (file, path, place, size) = open else { return nil }
    guard place < size else {
      storage.close(file)
      open = nil
      return nil
    }
    var bytes = [UInt8](repeating: 0, count: min(FolderArchive.payloadBytesMax, size - place))
    let wanted = bytes.count
    var count = 0
    var failure: StorageError?
    bytes.withUnsafeMutableBytes { room in
      do throws(StorageError) { count = try storage.read(file, at: place, into: room) } catch { failure = error }
    }
    if let failure { throw failure }
    guard count == wanted else {
      throw StorageError(
        kind: .damaged, operation: "copy", path: path, reason: "it ends at byte \(place + count) of \(size)")
    }
    open?.place = place + count
    return FolderArchive.block(.data, bytes)
  }

  private func end() -> [UInt8]? {
    guard !hasEnded else { return nil }
    hasEnded = true
    var payload: [UInt8] = []
    payload.append(little: UInt64(files.count))
    return FolderArchive.block(.end, payload)
  }
}
