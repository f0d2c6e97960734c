// What a server stands on. The program stands on Linux (`Surroundings.linux`); tests bring a network, a disk and a clock of
// their own and run the same turns without threads.

import DataFiles
import DecisionLog
import Engine
import Journal
import Platform
import Primitives

/// The I/O lanes and the mailbox in which they leave what is finished.
package protocol LoopIOQueue: IOQueue {
  /// The tasks that have finished since the last call.
  func takeFinished() -> [IOTask]
  /// Whether a write waits for disk space.
  var isWaitingForSpace: Bool { get }
}

/// What a server stands on.
package struct Surroundings {
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
  /// Makes a turn of a log that has no thread of its own; nil for one that has.
  package var turnLog: (() -> NextTurn)?
  /// Called in each turn, with the commands: whoever owns the loop has something for the server.
  package var takeMail: (() -> Void)?
  /// The server goes down: from now on a full disk is waited for no longer than `spaceWaitMsMax`. What was acknowledged is in
  /// the journal, which has its space already.
  var boundWaiting: () -> Void = {}

  /// How long a server that goes down waits for disk space.
  static let spaceWaitMsMax: Int64 = 10_000

  /// Puts them together.
  package init(
    network: any Network, clock: any MachineClock = LinuxClock(), io: any LoopIOQueue, engine: Engine,
    waitForLog: @escaping () -> Void, endLog: @escaping () -> Void, endIO: @escaping () -> Void
  ) {
    self.network = network
    self.clock = clock
    self.io = io
    self.engine = engine
    self.waitForLog = waitForLog
    self.endLog = endLog
    self.endIO = endIO
  }
}

extension Surroundings {
  /// Opens the data folder on this machine's disk and starts the threads.
  static func linux(_ settings: ServerSettings, log: @escaping ServerLog) throws -> Surroundings {
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
    var opened: JournalLog?
    let parts = EngineSurroundings(storage: storage, io: io) { identity throws(LogError) in
      let journal = try JournalLog(
        storage, identity: identity, settings: settings.journal, random: SystemRandom.storeID,
        clock: SystemClock.bootNs, wake: { wake.raise() }, notify: { notify.raise() })
      opened = journal
      return journal
    }
    let engine = try Engine.open(parts, settings.engine, nowNs: SystemClock.wallNs())
    guard let journal = opened else { preconditionFailure("an engine that is open has opened its log") }
    let thread = try Thread(name: "escapement-log") { journal.run { timeoutNs in wake.wait(timeoutNs: timeoutNs) } }
    var surroundings = Surroundings(
      network: try LinuxNetwork(notify: notify, signals: signals), io: io, engine: engine,
      waitForLog: { notify.wait(timeoutNs: 10_000_000) },
      endLog: {
        journal.stop()
        thread.join()
      },
      endIO: { io.stop() })
    surroundings.boundWaiting = { io.spaceWaitEndNs = SystemClock.bootNs() + spaceWaitMsMax * TimeUnits.nsPerMs }
    return surroundings
  }
}
