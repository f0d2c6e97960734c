// Work for the I/O threads: the only way in which the broker, the delay store and the topic log touch a disk.
//
// Holds: `run` is called on an I/O thread, once, or again while the disk is full, so it must do no harm when repeated;
// `finished` afterwards, on the loop thread, and only when `failure` is nil. Tasks of one lane run in the order in which
// they were submitted; the lanes know nothing of each other.
// Leaves to others: which thread a lane is (the server), or that there is none (the simulator runs tasks by hand).

import Primitives

/// One piece of disk work that comes back to the loop thread when it is done.
open class IOTask: @unchecked Sendable {
  /// What went wrong in `run`; set by whoever ran the task.
  public final var failure: StorageError?

  /// Makes a task.
  public init() {}

  /// Does the blocking work. Runs on an I/O thread and must not touch state of the loop thread.
  open func run(_ files: OpenFiles) throws(StorageError) {}

  /// Takes the result back. Runs on the loop thread.
  open func finished() {}

  /// Whether the failure of `run` does not matter, because the file was given up meanwhile; tells whoever waited for the
  /// read. Runs on the loop thread, in place of `finished`.
  open func canIgnoreFailure() -> Bool { false }

  /// Runs the task and notes its failure. Behind a task that failed in the write lane nothing is run any more: it fails like
  /// that one.
  public final func execute(_ files: OpenFiles) {
    failure = files.failure
    if failure != nil { return }
    do throws(StorageError) {
      try run(files)
    } catch {
      failure = error
      files.note(error)
    }
  }
}

/// The orders of work. What is read was written before, so the lanes need no order between them, and a consumer's cold read
/// never waits behind a checkpoint. `copy` is for work that takes minutes and that nothing else waits for.
public enum IOLane: Int, CaseIterable, Sendable { case write, read, copy }

/// Takes tasks from the loop thread; gives them back by way of the loop's mailbox.
public protocol IOQueue: AnyObject {
  /// Queues `task` behind everything of its lane. Never blocks.
  func submit(_ task: IOTask, _ lane: IOLane)
  /// Finishes everything that was submitted, and what that submits; gives the first failure. For starts and stops, when the
  /// loop has nothing else to do.
  func drain() -> StorageError?
}

/// Closes files that are about to be removed, in the read lane: an open file would keep its space, and a later file of the
/// same path would be read as the old one.
public final class CloseTask: IOTask, @unchecked Sendable {
  private let paths: [String]

  /// Closes `paths` where they are open.
  public init(paths: [String]) { self.paths = paths }

  /// Closes the files.
  public override func run(_ files: OpenFiles) throws(StorageError) { for path in paths { files.forget(path) } }
}

/// Removes files, in the write lane so that it comes after every write to them. A file that is gone already is fine.
public final class RemoveTask: IOTask, @unchecked Sendable {
  private let paths: [String]
  private let directories: [String]

  /// Removes `paths`, then the folders they left empty.
  public init(paths: [String], directories: [String] = []) {
    self.paths = paths
    self.directories = directories
  }

  /// Removes the files.
  public override func run(_ files: OpenFiles) throws(StorageError) {
    for path in paths { try files.remove(path) }
    for directory in directories { try files.storage.removeDirectory(directory) }
  }
}
