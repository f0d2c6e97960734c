// Opening a data folder: its log, its checkpoint, then the records of the log after the checkpoint. A new folder first gets a
// checkpoint of an empty broker.
//
// Holds: a folder whose first checkpoint is not durable is an empty folder; the log takes no record before that.
// Leaves to others: which log it is (the program's assembly).

import Broker
import DataFiles
import DecisionLog
import DelayStore
import Primitives

/// Why a data folder does not open.
public enum EngineError: Error, CustomStringConvertible {
  case storage(StorageError)
  case log(LogError)

  /// The text for people.
  public var description: String {
    switch self {
    case .storage(let error): "\(error)"
    case .log(let error): "\(error)"
    }
  }

  static func ofStorage<Result>(_ body: () throws(StorageError) -> Result) throws(EngineError) -> Result {
    do throws(StorageError) { return try body() } catch { throw .storage(error) }
  }

  static func ofLog<Result>(_ body: () throws(LogError) -> Result) throws(EngineError) -> Result {
    do throws(LogError) { return try body() } catch { throw .log(error) }
  }
}

/// What a start found.
public struct RecoverySummary: Sendable {
  /// Whether the folder was empty.
  public var isNew = false
  /// What the log held after the checkpoint.
  public var log = RecoveryReport()
  /// By how much the watermark was ahead of the clock.
  public var aheadMs: Int64 = 0
}

/// Gives the log of an identity, or with nil the log of a folder without a checkpoint: a new one, or one that is kept
/// elsewhere and knows who it is. Throws `.orphaned` when there are records that nobody can know the meaning of, `.foreign`
/// when the log is another one than asked for.
public typealias OpenLog = (_ identity: LogIdentity?) throws(LogError) -> any DecisionLog

/// What an engine needs of its surroundings.
public struct EngineSurroundings {
  /// The disk.
  public var storage: any Storage
  /// The I/O lanes.
  public var io: any IOQueue
  /// Opens the log.
  public var openLog: OpenLog

  /// Puts them together.
  public init(storage: any Storage, io: any IOQueue, openLog: @escaping OpenLog) {
    self.storage = storage
    self.io = io
    self.openLog = openLog
  }
}

extension Engine {
  /// Opens the data folder of `surroundings.storage`; makes it when it is empty.
  ///
  /// - Parameter nowNs: what the clock says; the watermark may turn out to be later.
  /// - Throws: for damage, naming file and place; for a folder that is neither empty nor whole.
  public static func open(
    _ surroundings: EngineSurroundings, _ settings: EngineSettings, nowNs: Int64
  ) throws(EngineError) -> Engine {
    let engine = try openUnbegun(surroundings, settings, nowNs: nowNs)
    try engine.lead(nowNs: nowNs)
    return engine
  }

  /// Opens the folder and applies what the log has; the engine can follow the log, or lead.
  static func openUnbegun(
    _ surroundings: EngineSurroundings, _ settings: EngineSettings, nowNs: Int64
  ) throws(EngineError) -> Engine {
    let found = try EngineError.ofStorage { () throws(StorageError) in try CheckpointFile.load(surroundings.storage) }
    let log: any DecisionLog
    do throws(LogError) { log = try surroundings.openLog(found?.identity) } catch {
      guard error.kind == .orphaned else { throw .log(error) }
      throw .storage(
        StorageError(
          kind: .damaged, operation: "open", path: CheckpointFile.path, reason: "there is a journal but no checkpoint"))
    }
    let file = if let found { found } else { try begin(surroundings, settings, log, nowNs) }
    return try recover(file, isNew: found == nil, log, surroundings, settings)
  }

  /// Makes the first checkpoint. It holds the log's identity, without which nobody can read the hashes in its records.
  private static func begin(
    _ surroundings: EngineSurroundings, _ settings: EngineSettings, _ log: any DecisionLog, _ nowNs: Int64
  ) throws(EngineError) -> CheckpointFile {
    try EngineError.ofStorage { () throws(StorageError) in
      let broker = Broker(settings: settings.broker, hashKey: log.identity.hashKey, io: surroundings.io)
      broker.start(nowNs: nowNs)
      let plan = broker.checkpoint()
      if let failure = surroundings.io.drain() { throw failure }
      let file = CheckpointFile(
        identity: log.identity, sliceMs: settings.broker.sliceMs, sequence: 0, state: plan.state[...],
        mark: log.mark(at: 0))
      try file.save(surroundings.storage)
      return file
    }
  }

  private static func recover(
    _ file: CheckpointFile, isNew: Bool, _ log: any DecisionLog, _ surroundings: EngineSurroundings,
    _ settings: EngineSettings
  ) throws(EngineError) -> Engine {
    var settings = settings
    settings.broker.sliceMs = file.sliceMs
    settings.broker.deliveryRule = log.deliveryRule
    let storage = surroundings.storage
    let io = surroundings.io
    let broker = Broker(settings: settings.broker, hashKey: log.identity.hashKey, io: io)
    try EngineError.ofStorage { () throws(StorageError) in try load(file, broker, storage) }
    var recovery = RecoverySummary()
    recovery.isNew = isNew
    try EngineError.ofLog { () throws(LogError) in
      recovery.log = try replay(log, from: file.sequence + 1, broker, io, salvages: settings.salvages)
    }
    if let failure = io.drain() ?? broker.failure { throw .storage(failure) }
    return Engine(broker: broker, log: log, storage: storage, io: io, settings: settings, recovery: recovery)
  }

  private static func load(_ file: CheckpointFile, _ broker: Broker, _ storage: any Storage) throws(StorageError) {
    guard let state = CheckpointState(file.state) else {
      throw StorageError(kind: .damaged, operation: "read", path: CheckpointFile.path, reason: "its state is not whole")
    }
    try removeStrangers(state, storage)
    try broker.recover(state, stamp: file.stamp, files: OpenFiles(storage: storage))
  }

  /// Ends the recovery: the log takes records from here on, and time begins at `nowNs`.
  ///
  /// - Throws: when the log cannot be begun, or belongs to another one now.
  public func lead(nowNs: Int64) throws(EngineError) {
    try EngineError.ofLog { () throws(LogError) in try log.begin() }
    broker.records = log.takeBuffer()
    recovery.aheadMs = broker.start(nowNs: nowNs, isSalvaged: !recovery.log.lost.isEmpty)
    noteBegun()
  }

  static func replay(
    _ log: any DecisionLog, from first: Sequence, _ broker: Broker, _ io: any IOQueue, salvages: Bool
  ) throws(LogError) -> RecoveryReport {
    var bytes = 0
    return try log.recover(from: first, salvages ? .salvage : .strict) { sequence, kind, payload in
      let drain = { if let failure = io.drain() { broker.fail(failure) } }
      try broker.replay(sequence: sequence, kind: kind, payload: payload, drain: drain)
      // The files that replay writes go to the disk meanwhile, so that a long log needs little memory.
      bytes += payload.count
      if bytes > 16 << 20 {
        bytes = 0
        drain()
      }
      if let failure = broker.failure { throw failure }
    }
  }

  /// Removes data files that the checkpoint does not name: they were begun after it, and the log has their messages.
  private static func removeStrangers(_ state: CheckpointState, _ storage: any Storage) throws(StorageError) {
    var known = Set(state.dataFiles)
    known.insert(IndexFile.path)
    for path in state.dataFiles where path.hasSuffix(".log") { known.insert(path.dropLast(4) + ".index") }
    try removeFiles(exceptFor: known, storage)
  }
}
