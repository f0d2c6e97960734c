// What a server stands on. The program stands on Linux (`Surroundings.linux`); tests bring a network, a disk and a clock of
// their own and run the same turns without threads.

import DataFiles
import Engine
import Journal
import Platform
import Primitives

/// The I/O lanes and the mailbox in which they leave what is finished.
protocol LoopIOQueue: IOQueue {
  /// The tasks that have finished since the last call.
  func takeFinished() -> [IOTask]
  /// Whether a write waits for disk space.
  var isWaitingForSpace: Bool { get }
}

/// What a server stands on.
struct Surroundings {
  let network: any Network
  let clock: any MachineClock
  let io: any LoopIOQueue
  /// The opened data folder.
  let engine: Engine
  /// Lets the log's thread get on with what was submitted, for up to some milliseconds.
  let waitForLog: () -> Void
  /// Writes out the log and ends its thread.
  let endLog: () -> Void
  /// Ends the I/O lanes; what is queued is not run.
  let endIO: () -> Void
}

extension Surroundings {
  /// Opens the data folder on this machine's disk and starts the threads.
  static func linux(_ settings: ServerSettings, log: @escaping @Sendable (String) -> Void) throws -> Surroundings {
    let storage = try DiskStorage(root: settings.dataFolder)
    try storage.lock()
    let notify = try EventSignal()
    let signals = try ProcessSignals()
    let io = try ThreadedIOQueue(storage, notify: notify, log: log)
    io.isInterrupted = {
      while let signal = signals.next() { if signal != .hangUp { return true } }
      return false
    }
    let wake = try EventSignal()
    let parts = EngineSurroundings(storage: storage, io: io, random: { SystemRandom.storeID() }) { writer, policy in
      GroupCommit(
        writer: writer, policy: policy, clock: { SystemClock.bootNs() }, wake: { wake.raise() },
        notify: { notify.raise() })
    }
    let engine = try Engine.open(parts, settings.engine, nowNs: SystemClock.wallNs())
    let commit = engine.commit
    let thread = try Thread(name: "escapement-log") { commit.run { timeoutNs in wake.wait(timeoutNs: timeoutNs) } }
    return Surroundings(
      network: try LinuxNetwork(notify: notify, signals: signals), clock: LinuxClock(), io: io, engine: engine,
      waitForLog: { notify.wait(timeoutNs: 10_000_000) },
      endLog: {
        commit.stop()
        thread.join()
      },
      endIO: { io.stop() })
  }
}
