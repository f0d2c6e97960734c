// The I/O lanes without threads: whoever holds the queue says which lane runs its next task, and when the loop hears of
// it.
//
// Holds: tasks of a lane run in order; a write that finds the disk full stays at the head of its lane, as in the server.
// Leaves to others: the order between the lanes (the simulation draws it).

import DataFiles
import Primitives

/// An `IOQueue` that is driven by hand. Lane 0 is the write lane, lane 1 the read lane, lane 2 that of copies.
public final class ManualIOQueue: IOQueue {
  private var waiting: [[IOTask]] = IOLane.allCases.map { _ in [] }
  private var finished: [IOTask] = []
  private let files: [OpenFiles]
  private let finishesWritesUnrun: Bool
  /// Whether the last task of the write lane found no space.
  public private(set) var isWaitingForSpace = false

  /// A queue over a storage.
  ///
  /// - Parameter finishesWritesUnrun: a defect for tests of tests: writes are reported as done and never run.
  public init(storage: any Storage, finishesWritesUnrun: Bool = false) {
    files = IOLane.allCases.map { OpenFiles(storage: storage, stopsAtFailure: $0 == .write) }
    self.finishesWritesUnrun = finishesWritesUnrun
  }

  /// Queues a task.
  public func submit(_ task: IOTask, _ lane: IOLane) {
    waiting[lane.rawValue].append(task)
    if finishesWritesUnrun, lane == .write { finished.append(task) }
  }

  /// Runs the next task of a lane; false when there is none or it waits for space.
  @discardableResult
  public func runOne(lane: Int) -> Bool {
    guard let task = waiting[lane].first else { return false }
    if finishesWritesUnrun, lane == 0 {
      waiting[0].removeFirst()
      return true
    }
    task.execute(files[lane])
    if lane == 0 { isWaitingForSpace = task.failure?.kind == .diskFull }
    if task.failure?.kind == .diskFull { return false }
    waiting[lane].removeFirst()
    finished.append(task)
    return true
  }

  /// Runs what there is, all lanes; what it leads to is submitted when the loop takes the results.
  public func runAll() { while runOne(lane: 0) || runOne(lane: 1) || runOne(lane: 2) {} }

  /// The tasks that have run since the last call.
  public func takeFinished() -> [IOTask] {
    defer { finished = [] }
    return finished
  }

  /// Whether there is nothing to run and nothing to take.
  public var isIdle: Bool { waiting.allSatisfy(\.isEmpty) && finished.isEmpty }

  /// Runs and finishes everything.
  public func drain() -> StorageError? {
    while !isIdle {
      let ran = runOne(lane: 0) || runOne(lane: 1) || runOne(lane: 2)
      for task in takeFinished() {
        if let failure = task.failure { return failure }
        task.finished()
      }
      if !ran && !isIdle { return waiting[0].first?.failure }
    }
    return nil
  }

  /// Forgets all work: the process is gone.
  public func abandon() {
    waiting = IOLane.allCases.map { _ in [] }
    finished = []
    for files in files { files.closeAll() }
  }
}
