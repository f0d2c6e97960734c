// Writing a checkpoint, in the write lane, after all writes to the files that it names.

import DataFiles
import DecisionLog
import DelayStore
import Primitives

/// Syncs what a checkpoint names and the records that it rests on, then puts it in place.
final class CheckpointTask: IOTask, @unchecked Sendable {
  private let file: CheckpointFile
  private let unsynced: [String]
  private let log: any DecisionLog
  private let done: (IndexStamp) -> Void
  private var stamp: IndexStamp?

  init(_ file: CheckpointFile, unsynced: [String], log: any DecisionLog, done: @escaping (IndexStamp) -> Void) {
    self.file = file
    self.unsynced = unsynced
    self.log = log
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
    // The records that the state is made of were written before this task was queued. If a crash took them and left the
    // checkpoint, the log would end before the first record that the checkpoint asks for.
    try log.persist()
    stamp = try file.save(files.storage)
  }

  override func finished() {
    guard let stamp else { preconditionFailure("a checkpoint that was put in place has a name") }
    done(stamp)
  }
}
