// Opening a data folder: checkpoint, then the journal behind it, then ready. Or a new folder.

import Broker
import DataFiles
import Journal
import Primitives

/// Why a data folder does not open.
public enum EngineError: Error, CustomStringConvertible {
  case storage(StorageError)
  case journal(JournalError)

  /// The text for people.
  public var description: String {
    switch self {
    case .storage(let error): "\(error)"
    case .journal(let error): "\(error)"
    }
  }
}

/// What a start found.
public struct RecoverySummary: Sendable {
  /// Whether the folder was empty.
  public var isNew = false
  /// What the journal held behind the checkpoint.
  public var journal = RecoveryReport()
  /// By how much the watermark was ahead of the clock.
  public var aheadMs: Int64 = 0
}

/// What an engine needs of its surroundings.
public struct EngineSurroundings {
  /// The disk.
  public var storage: any Storage
  /// The I/O lanes.
  public var io: any IOQueue
  /// Random bytes.
  public var random: () -> StoreID
  /// Makes the group commit over a writer.
  public var makeCommit: (SegmentWriter, SyncPolicy) -> GroupCommit

  /// Puts them together.
  public init(
    storage: any Storage, io: any IOQueue, random: @escaping () -> StoreID,
    makeCommit: @escaping (SegmentWriter, SyncPolicy) -> GroupCommit
  ) {
    self.storage = storage
    self.io = io
    self.random = random
    self.makeCommit = makeCommit
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
    do throws(StorageError) {
      if let file = try CheckpointFile.load(surroundings.storage) {
        return try recover(file, surroundings, settings, nowNs)
      }
      guard try surroundings.storage.list("journal").isEmpty else {
        throw StorageError(
          kind: .damaged, operation: "open", path: CheckpointFile.path, reason: "there is a journal but no checkpoint")
      }
      return try create(surroundings, settings, nowNs)
    } catch {
      throw .storage(error)
    }
  }

  private static func create(
    _ surroundings: EngineSurroundings, _ settings: EngineSettings, _ nowNs: Int64
  ) throws(StorageError) -> Engine {
    let store = surroundings.random()
    let hashKey = surroundings.random()
    let broker = Broker(settings: settings.broker, hashKey: hashKey, io: surroundings.io)
    broker.records.reset(nextSequence: 1)
    broker.start(nowNs: nowNs)
    // The first checkpoint says who the folder is; without it a journal is nobody's.
    let plan = broker.checkpoint()
    if let failure = surroundings.io.drain() { throw failure }
    let file = CheckpointFile(
      store: store, hashKey: hashKey, sliceMs: settings.broker.sliceMs, sequence: 0, state: plan.state[...])
    try file.save(surroundings.storage)
    var recovery = RecoverySummary()
    recovery.isNew = true
    let writer = try segmentWriter(surroundings.storage, store, recovery.journal, settings)
    return Engine(
      broker: broker, commit: surroundings.makeCommit(writer, settings.policy), storage: surroundings.storage,
      io: surroundings.io, settings: settings, store: store, hashKey: hashKey, recovery: recovery)
  }

  private static func recover(
    _ file: CheckpointFile, _ surroundings: EngineSurroundings, _ settings: EngineSettings, _ nowNs: Int64
  ) throws(StorageError) -> Engine {
    var settings = settings
    settings.broker.sliceMs = file.sliceMs
    let storage = surroundings.storage
    let io = surroundings.io
    let broker = Broker(settings: settings.broker, hashKey: file.hashKey, io: io)
    guard let state = CheckpointState(file.state) else {
      throw StorageError(kind: .damaged, operation: "read", path: CheckpointFile.path, reason: "its state is not whole")
    }
    try removeStrangers(state, storage)
    try broker.recover(state, files: OpenFiles(storage: storage))
    var recovery = RecoverySummary()
    recovery.journal = try replay(file, broker, storage, io, settings)
    if let failure = io.drain() ?? broker.failure { throw failure }
    let writer = try segmentWriter(storage, file.store, recovery.journal, settings)
    broker.records.reset(nextSequence: recovery.journal.nextSequence)
    recovery.aheadMs = broker.start(nowNs: nowNs, isSalvaged: !recovery.journal.lost.isEmpty)
    return Engine(
      broker: broker, commit: surroundings.makeCommit(writer, settings.policy), storage: storage, io: io,
      settings: settings, store: file.store, hashKey: file.hashKey, recovery: recovery)
  }

  private static func segmentWriter(
    _ storage: any Storage, _ store: StoreID, _ recovered: RecoveryReport, _ settings: EngineSettings
  ) throws(StorageError) -> SegmentWriter {
    do throws(JournalError) {
      return try SegmentWriter(
        storage: storage, store: store, recovered: recovered, segmentBytes: settings.segmentBytes)
    } catch {
      throw StorageError(kind: .failed, operation: "start", path: "journal", reason: "\(error)")
    }
  }

  private static func replay(
    _ file: CheckpointFile, _ broker: Broker, _ storage: any Storage, _ io: any IOQueue, _ settings: EngineSettings
  ) throws(StorageError) -> RecoveryReport {
    do throws(JournalError) {
      return try JournalReader.recover(
        storage: storage, from: file.sequence + 1, store: file.store, salvage: settings.salvages
      ) { sequence, kind, payload in
        let drain = { if let failure = io.drain() { broker.fail(failure) } }
        try broker.replay(sequence: sequence, kind: kind, payload: payload, drain: drain)
        // What replay writes goes to the disk as it comes, so that a long journal needs little memory.
        if sequence & 0xFFFF == 0 { drain() }
        if let failure = broker.failure { throw failure }
      }
    } catch {
      throw StorageError(kind: .damaged, operation: "recover", path: "journal", reason: "\(error)")
    }
  }

  /// Removes data files that the checkpoint does not name: they were begun after it, and the journal has what was in them.
  private static func removeStrangers(_ state: CheckpointState, _ storage: any Storage) throws(StorageError) {
    var known = Set(state.dataFiles)
    for path in state.dataFiles where path.hasSuffix(".log") { known.insert(path.dropLast(4) + ".index") }
    for folder in ["delay", "settled"] {
      for name in try storage.list(folder) where !known.contains("\(folder)/\(name)") {
        try storage.remove("\(folder)/\(name)")
      }
    }
    // Segments kept for reuse: space that replay may need.
    for name in try storage.list("journal") where name.hasSuffix(".tmp") { try storage.remove("journal/\(name)") }
    for topic in try storage.list("topics") {
      let names = try storage.list("topics/\(topic)")
      let strangers = names.filter { !known.contains("topics/\(topic)/\($0)") }
      for name in strangers { try storage.remove("topics/\(topic)/\(name)") }
      if strangers.count == names.count { try storage.removeDirectory("topics/\(topic)") }
    }
  }
}
