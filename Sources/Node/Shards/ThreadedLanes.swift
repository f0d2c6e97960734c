// The I/O lanes of one life of an engine, on threads.

import Cluster
import DataFiles
import Platform
import Primitives
import Server

/// Lanes that run on threads of their own.
final class ThreadedLanes: ShardLanes {
  let threads: ThreadedIOQueue

  init(_ storage: any Storage, _ notify: EventSignal, _ log: @escaping ServerLog) {
    do { threads = try ThreadedIOQueue(storage, notify: notify, log: log) } catch {
      // Without threads nothing can go on, here or elsewhere in the process.
      fatalError("the threads of a data folder cannot be started: \(error)")
    }
  }

  var queue: any IOQueue { threads }
  func takeFinished() -> [IOTask] { threads.takeFinished() }
  var isWaitingForSpace: Bool { threads.isWaitingForSpace }
  func abandon() { threads.stop() }
}
