// The engine of the server in this process: the broker over a real folder, with the log's thread and the I/O lanes, and without
// sockets, sessions and the wire.
//
// Holds: turns are made by one thread, as the server's loop does; the folder is new and is removed by `stop`.

import Broker
import DecisionLog
import Engine
import Glibc
import Journal
import Platform
import Primitives
import Server

final class InProcessEngine {
  let engine: Engine
  private let io: ThreadedIOQueue
  private let notify: EventSignal
  private let journal: JournalLog
  private let logThread: Thread
  private let folder: String

  var broker: Broker { engine.broker }

  /// Opens an engine in a new folder in `place`; every sync takes `stallMs` longer than the disk does.
  init(in place: String, policy: SyncPolicy, stallMs: Int) throws {
    folder = Folder.make(in: place)
    setenv("ESCAPEMENT_STALL_SYNC_MS", "\(stallMs)", 1)
    let storage = try DiskStorage(root: "\(folder)/data")
    unsetenv("ESCAPEMENT_STALL_SYNC_MS")
    let notify = try EventSignal()
    let wake = try EventSignal()
    let io = try ThreadedIOQueue(storage, notify: notify) { _, _, text in say("  \(text)") }
    var opened: JournalLog?
    let surroundings = EngineSurroundings(storage: storage, io: io) { identity throws(LogError) in
      let journal = try JournalLog(
        storage, identity: identity, settings: JournalSettings(policy: policy), random: SystemRandom.storeID,
        clock: SystemClock.bootNs, wake: { wake.raise() }, notify: { notify.raise() })
      opened = journal
      return journal
    }
    engine = try Engine.open(surroundings, EngineSettings(), nowNs: SystemClock.wallNs())
    guard let journal = opened else { preconditionFailure("an engine that is open has opened its log") }
    logThread = try Thread(name: "log") { journal.run { timeoutNs in wake.wait(timeoutNs: timeoutNs) } }
    (self.io, self.notify, self.journal) = (io, notify, journal)
  }

  /// One turn in which `commands` asks the broker; it says whether an answer must be durable. Gives the turn's last record.
  @discardableResult func turn(_ commands: () -> Bool) -> Sequence {
    engine.turn(
      nowNs: SystemClock.wallNs(), finished: io.takeFinished, isWaitingForSpace: io.isWaitingForSpace,
      commands: commands)
  }

  /// Blocks until there is something to do, or until `atMost` ns have passed.
  func wait(atMost: Int64) {
    let wakeNs = engine.nextWakeUpMs.map { $0 * TimeUnits.nsPerMs - SystemClock.wallNs() } ?? atMost
    if wakeNs > 0 { notify.wait(timeoutNs: min(atMost, wakeNs)) }
  }

  /// Waits until the record `sequence` is settled.
  func waitUntilSettled(_ sequence: Sequence) {
    while engine.log.settledSequence < sequence {
      notify.wait(timeoutNs: 10_000_000)
      if let failure = engine.log.failure { fail("\(failure)") }
    }
  }

  func stop() {
    journal.stop()
    logThread.join()
    io.stop()
    Folder.remove(folder)
  }
}
