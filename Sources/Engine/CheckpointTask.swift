// Writing a checkpoint, in the write lane, behind everything that it names.

import DataFiles
import Primitives

/// Syncs what a checkpoint names, then puts it in place.
final class CheckpointTask: IOTask, @unchecked Sendable {
  private let file: CheckpointFile
  private let unsynced: [String]
  private let done: () -> Void

  init(_ file: CheckpointFile, unsynced: [String], done: @escaping () -> Void) {
    self.file = file
    self.unsynced = unsynced
    self.done = done
  }

  override func run(_ files: OpenFiles) throws(StorageError) {
    var directories: Set<String> = [""]
    for path in unsynced {
      try files.storage.sync(try files.file(path, create: true))
      var directory = path[...]
      while let slash = directory.lastIndex(of: "/") {
        directory = directory[..<slash]
        directories.insert(String(directory))
      }
    }
    for directory in directories.sorted() { try files.storage.syncDirectory(directory) }
    try syncJournal(files)
    try file.save(files.storage)
  }

  /// The records that the state is made of were written before this task was queued; were they lost and the checkpoint
  /// not, the journal would end before the place where it goes on.
  private func syncJournal(_ files: OpenFiles) throws(StorageError) {
    for name in try files.storage.list("journal") where name.hasSuffix(".wal") {
      let path = "journal/\(name)"
      do throws(StorageError) {
        try files.storage.sync(try files.file(path, create: false))
      } catch  where error.kind == .notFound {
        continue
      }
      files.forget(path)
    }
  }

  override func finished() { done() }
}
