// The I/O lanes of a program that has nothing else to do: a task runs when it is submitted.
//
// Holds: tasks finish in the order in which they were submitted, when the owner drains.

import Primitives

/// An `IOQueue` without threads.
public final class InlineIOQueue: IOQueue {
  private let files: [OpenFiles]
  private var finished: [IOTask] = []

  /// Over a storage.
  public init(storage: any Storage) {
    files = IOLane.allCases.map { OpenFiles(storage: storage, stopsAtFailure: $0 == .write) }
  }

  /// Runs the task.
  public func submit(_ task: IOTask, _ lane: IOLane) {
    task.execute(files[lane.rawValue])
    finished.append(task)
  }

  /// Takes the results back, and those of what they submit.
  public func drain() -> StorageError? {
    while !finished.isEmpty {
      let tasks = finished
      finished = []
      for task in tasks {
        if let failure = task.failure { return failure }
        task.finished()
      }
    }
    return nil
  }
}
