// A snapshot: the files of a checkpoint, copied into another folder while the server goes on.
//
// Holds: what a durable checkpoint names is a whole data folder together with an empty log, and up to the lengths that the
// checkpoint says none of its files changes any more; the engine keeps them from being removed until the copy is made. Files
// that will never change get a second name instead of a copy. A copy that did not come to its end has no checkpoint.
// Leaves to others: taking the checkpoint (Engine), where the folder is and what it is called before it is whole (`SnapshotTarget`).

import Broker
import DataFiles
import DecisionLog
import Primitives
import Synchronization

/// Where a snapshot goes. Both are called on an I/O thread.
public struct SnapshotTarget {
  /// Makes the folder.
  public var open: () throws(StorageError) -> any Storage
  /// Gives it its name: it is whole.
  public var finish: () throws(StorageError) -> Void

  /// Puts the two together.
  public init(
    open: @escaping () throws(StorageError) -> any Storage, finish: @escaping () throws(StorageError) -> Void
  ) {
    self.open = open
    self.finish = finish
  }
}

/// What a snapshot holds.
public struct SnapshotSummary: Equatable, Sendable {
  /// Its state is that behind this record.
  public var sequence: Sequence = 0
  /// Files that it shares with the data folder.
  public var linkedFiles = 0
  /// Files that were copied.
  public var copiedFiles = 0
  /// Bytes that were copied.
  public var copiedBytes = 0
}

/// Copies the files of a checkpoint.
final class SnapshotTask: IOTask, @unchecked Sendable {
  private let target: SnapshotTarget
  private let log: any DecisionLog
  private let done: (Result<SnapshotSummary, StorageError>) -> Void
  /// The checkpoint; set before the task is queued.
  var file: CheckpointFile?
  private let isAbandoned = Atomic(false)
  private var result: Result<SnapshotSummary, StorageError>?

  static let blockBytes = 1 << 20

  init(
    _ target: SnapshotTarget, log: any DecisionLog, done: @escaping (Result<SnapshotSummary, StorageError>) -> Void
  ) {
    self.target = target
    self.log = log
    self.done = done
  }

  /// Ends the copy as soon as it can: it fails. Any thread.
  func abandon() { isAbandoned.store(true, ordering: .releasing) }

  /// Never fails itself: that a snapshot cannot be made is no failure of the store, and not to be tried again.
  override func run(_ files: OpenFiles) throws(StorageError) {
    do throws(StorageError) { result = .success(try copy(files)) } catch { result = .failure(error) }
  }

  override func finished() {
    guard let result else { preconditionFailure("a snapshot that has run has a result") }
    done(result)
  }

  private func copy(_ files: OpenFiles) throws(StorageError) -> SnapshotSummary {
    guard let file, let state = CheckpointState(file.state) else {
      preconditionFailure("a checkpoint that was just written can be read")
    }
    let storage = try target.open()
    var summary = SnapshotSummary()
    summary.sequence = file.sequence
    var folders: Set<String> = []
    for counted in state.countedFiles {
      let folder = String(counted.path[..<(counted.path.lastIndex(of: "/") ?? counted.path.startIndex)])
      if folders.insert(folder).inserted { try storage.makeDirectory(folder) }
      try copy(counted, files, to: storage, &summary)
    }
    for folder in folders.flatMap({ Self.withParents($0) }) { try storage.syncDirectory(folder) }
    try log.beginCopy(in: storage, behind: file.sequence)
    try file.save(storage)
    try requireWanted()
    try target.finish()
    return summary
  }

  private func copy(
    _ counted: CheckpointState.CountedFile, _ files: OpenFiles, to storage: any Storage,
    _ summary: inout SnapshotSummary
  ) throws(StorageError) {
    try requireWanted()
    if counted.isFinal, try files.storage.link(counted.path, into: storage) {
      summary.linkedFiles += 1
      try linkIndex(of: counted.path, files, into: storage)
      return
    }
    let source = try files.file(counted.path, create: counted.length == 0)
    defer { files.forget(counted.path) }
    let copy = try storage.open(counted.path, create: true)
    defer { storage.close(copy) }
    let memory = Chunk(filePosition: 0, capacity: min(Self.blockBytes, counted.length))
    var place = 0
    while place < counted.length {
      try requireWanted()
      let wanted = min(memory.capacity, counted.length - place)
      let count = try files.storage.read(
        source, at: place, into: UnsafeMutableRawBufferPointer(start: memory.base, count: wanted))
      guard count == wanted else {
        throw StorageError(
          kind: .damaged, operation: "copy", path: counted.path,
          reason: "it ends at byte \(place + count) where the checkpoint has \(counted.length)")
      }
      try storage.write(copy, at: place, UnsafeRawBufferPointer(start: memory.base, count: count))
      place += count
    }
    try storage.sync(copy)
    summary.copiedFiles += 1
    summary.copiedBytes += counted.length
  }

  /// The index of a segment spares a start the reading of it; one that is not there is made again.
  private func linkIndex(of path: String, _ files: OpenFiles, into storage: any Storage) throws(StorageError) {
    guard path.hasSuffix(".log") else { return }
    do throws(StorageError) {
      _ = try files.storage.link(path.dropLast(4) + ".index", into: storage)
    } catch  where error.kind == .notFound {}
  }

  private func requireWanted() throws(StorageError) {
    guard isAbandoned.load(ordering: .acquiring) else { return }
    throw StorageError(
      kind: .failed, operation: "copy", path: "the data folder",
      reason: "the server stops, or its disk is nearly full; what was copied is not whole")
  }

  private static func withParents(_ folder: String) -> [String] {
    var all = [folder]
    while let slash = all[all.count - 1].lastIndex(of: "/") { all.append(String(all[all.count - 1][..<slash])) }
    return all
  }
}
