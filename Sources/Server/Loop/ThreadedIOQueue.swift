// The I/O threads, one a lane.
//
// Holds: tasks of a lane run one after the other in order; a finished task waits in the mailbox until the loop takes it.
// A write that finds the disk full is tried again until there is space: its bytes are in memory and in the journal, so
// waiting loses nothing, while giving up would lose the file.
// Leaves to others: what tasks do; telling clients about the full disk (SpaceWatch).

import DataFiles
import Platform
import Primitives
import Synchronization

/// Runs tasks on one thread a lane.
package final class ThreadedIOQueue: LoopIOQueue, @unchecked Sendable {
  private final class Lane: Sendable {
    let queue = Mutex<[IOTask]>([])
    let signal: EventSignal
    init() throws(SystemError) { signal = try EventSignal() }
  }

  private static let spaceRetryNs: Int64 = 100_000_000
  private let lanes: [Lane]
  private var threads: [Thread] = []
  private let mailbox = Mutex<[IOTask]>([])
  private let isStopping = Atomic(false)
  private let isFull = Atomic(false)
  private let notify: EventSignal
  private let log: ServerLog
  private var pending = 0
  /// Asked while `drain` waits for space: whether to give up.
  var isInterrupted: () -> Bool = { false }
  /// When `drain` gives up waiting for space by itself, in ns since boot.
  var spaceWaitEndNs = Int64.max

  /// Starts the threads; `notify` is raised when a task is finished.
  package init(_ storage: any Storage, notify: EventSignal, log: @escaping ServerLog) throws(SystemError) {
    self.notify = notify
    self.log = log
    var lanes: [Lane] = []
    for _ in IOLane.allCases { lanes.append(try Lane()) }
    self.lanes = lanes
    for kind in IOLane.allCases {
      let lane = lanes[kind.rawValue]
      threads.append(
        try Thread(name: "escapement-\(kind)") { [self] in
          let files = OpenFiles(storage: storage, stopsAtFailure: kind == .write)
          while !isStopping.load(ordering: .acquiring) {
            for task in lane.queue.withLock({ queue in
              defer { queue = [] }
              return queue
            }) {
              run(task, files, isWriting: kind == .write)
            }
            if lane.queue.withLock({ $0.isEmpty }) { lane.signal.wait(timeoutNs: -1) }
          }
        })
    }
  }

  private func run(_ task: IOTask, _ files: OpenFiles, isWriting: Bool) {
    task.execute(files)
    while task.failure?.kind == .diskFull, !isStopping.load(ordering: .acquiring) {
      if isWriting { isFull.store(true, ordering: .releasing) }
      notify.raise()
      SystemClock.pause(ns: Self.spaceRetryNs)
      task.execute(files)
    }
    if isWriting { isFull.store(false, ordering: .releasing) }
    mailbox.withLock { $0.append(task) }
    notify.raise()
  }

  /// Whether a write waits for space.
  package var isWaitingForSpace: Bool { isFull.load(ordering: .acquiring) }

  package func submit(_ task: IOTask, _ lane: IOLane) {
    let lane = lanes[lane.rawValue]
    pending += 1
    let wasEmpty = lane.queue.withLock { queue in
      queue.append(task)
      return queue.count == 1
    }
    if wasEmpty { lane.signal.raise() }
  }

  /// The tasks that have finished since the last call.
  package func takeFinished() -> [IOTask] {
    let finished = mailbox.withLock { tasks in
      defer { tasks = [] }
      return tasks
    }
    pending -= finished.count
    return finished
  }

  package func drain() -> StorageError? {
    var hasSaid = false
    while pending > 0 {
      if isWaitingForSpace, !hasSaid {
        hasSaid = true
        log(.warning, "disk_full", "the disk is full; waiting for space")
      }
      if isWaitingForSpace, isInterrupted() || SystemClock.bootNs() >= spaceWaitEndNs {
        let reason = "stopped while waiting for disk space"
        return StorageError(kind: .diskFull, operation: "recover", path: "data folder", reason: reason)
      }
      for task in takeFinished() {
        if let failure = task.failure { return failure }
        task.finished()
      }
      if pending > 0 { notify.wait(timeoutNs: Self.spaceRetryNs) }
    }
    return nil
  }

  /// Ends the threads; what is queued is not run.
  package func stop() {
    isStopping.store(true, ordering: .releasing)
    for lane in lanes { lane.signal.raise() }
    for thread in threads { thread.join() }
  }
}
