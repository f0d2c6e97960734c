// Following a log that another node writes: a recovery that goes on for as long as it must.
//
// Holds: records are applied by the very code of a replay, in order; nothing is recorded, shown or timed. State is the leader's
// at the same record. Checkpoints are taken as by a leader, of what was applied.
// Leaves to others: when to lead (`lead` ends the recovery and replays nothing), what to do when another one leads after that
// (the engine is dropped, and the folder opened again: nothing undoes what it holds in memory and the log does not).

import Broker
import DataFiles
import DecisionLog
import Primitives

extension Engine {
  /// Opens the data folder to follow; see `open`.
  ///
  /// - Parameter nowNs: the newest service time of the log; where an empty folder begins.
  public static func follow(
    _ surroundings: EngineSurroundings, _ settings: EngineSettings, nowNs: Int64
  ) throws(EngineError) -> Engine {
    let engine = try openUnbegun(surroundings, settings, nowNs: nowNs)
    engine.noteFollowed(upTo: engine.recovery.log.nextSequence)
    return engine
  }

  /// One turn of a node that follows: finished disk work is taken back, and what has come is applied.
  ///
  /// - Parameters:
  ///   - finished: the tasks that the I/O lanes have finished.
  ///   - isWaitingForSpace: whether a lane waits for disk space.
  ///   - aheadMs: the newest service time of the log: messages due soon after it are read from disk.
  /// - Returns: how many records were applied.
  /// - Throws: when the log cannot be read on, or does not fit: the node must stop following.
  public func follow(finished: [IOTask], isWaitingForSpace: Bool, aheadMs: UnixMs) throws(EngineError) -> Int {
    for task in finished { finish(task) }
    if isWaitingForSpace { broker.isDiskFull = true }
    if let failure = broker.failure { throw .storage(failure) }
    let first = broker.records.nextSequence
    let report = try EngineError.ofLog { () throws(LogError) in
      try Self.replay(log, from: first, broker, io, salvages: false)
    }
    if let failure = broker.failure { throw .storage(failure) }
    noteFollowed(upTo: report.nextSequence)
    noteLog(bytes: report.bytes)
    broker.tidyWhileFollowing(aheadMs: aheadMs)
    space.watch(self)
    planCheckpointIfDue()
    beginCheckpointIfWritten()
    return report.records
  }

  private func noteFollowed(upTo next: Sequence) { broker.records.reset(nextSequence: next) }
}
