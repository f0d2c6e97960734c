// A shard on one node: its part of the stream, its data folder, and the engine over them, life after life.
//
//   reading ──the log is known──► following ──this node's epoch is read, all before it applied──► leading
//      ▲                              │ ▲                                                            │
//      └──────────────────────────────┼─┴────────── another one leads: the folder is opened again ◄──┘
//                                     ▼
//                                  stopped: an operator is needed; or needs the folder of another node, and reads again with it
//
// Holds: an engine that has led and does not any more is dropped, with everything that it holds in memory: it may not be in the
// log. The folder is opened as after a crash, from its last durable checkpoint, and the log is read on from there.
// Leaves to others: threads (the owner runs the log's turns and the lanes), clients, what to show (`ReplicatedLog.mayShow`).

import DataFiles
import DecisionLog
import Engine
import Primitives
import ReplicatedStream

/// The I/O lanes of one life of an engine.
public protocol ShardLanes: AnyObject {
  /// Takes the tasks.
  var queue: any IOQueue { get }
  /// The tasks that have run since the last call.
  func takeFinished() -> [IOTask]
  /// Whether a lane waits for disk space.
  var isWaitingForSpace: Bool { get }
  /// Forgets what has not run, and waits for what runs; the engine behind it is gone.
  func abandon()
}

/// What a shard needs of its surroundings.
public struct ShardSurroundings {
  /// The data folder.
  public var storage: any Storage
  /// Makes the lanes of a life.
  public var openLanes: () -> any ShardLanes
  /// For the log.
  public var log: ReplicatedLogSurroundings

  /// Puts them together.
  public init(storage: any Storage, openLanes: @escaping () -> any ShardLanes, log: ReplicatedLogSurroundings) {
    self.storage = storage
    self.openLanes = openLanes
    self.log = log
  }
}

/// A shard on one node. The loop's own, but for `log`, whose turns another thread may make.
public final class Shard {
  /// What the shard is doing.
  public enum State {
    /// Reads the log to learn whose it is.
    case reading
    /// Applies what another node writes.
    case following
    /// Takes commands.
    case leading
    /// The stream does not go back as far as this node's folder, or the folder is empty: it needs that of another node. Says why.
    case needsFolder(String)
    /// Does nothing any more.
    case stopped(LogStop?, String)
  }

  /// What a turn has changed.
  public enum Change: Equatable, Sendable {
    /// It leads: clients may come.
    case began
    /// It leads no more: all that clients were not told is void, and they must go.
    case deposed
    /// It needs the folder of another node: the owner fetches one (`FolderArchiveReader`), then calls `reopen`.
    case needsFolder
    /// It has stopped.
    case stopped
  }

  /// What it is doing.
  public private(set) var state = State.reading
  /// The log of this life.
  public private(set) var log: ReplicatedLog
  /// The engine of this life; nil while reading, and when stopped.
  public private(set) var engine: Engine?
  /// The lanes of this life.
  public private(set) var lanes: (any ShardLanes)?

  private let stream: any ReplicatedStream
  private let surroundings: ShardSurroundings
  private let engineSettings: EngineSettings
  private let logSettings: ReplicatedLogSettings
  /// Whether the leadership is being given away: the owner takes no commands any more, and makes no turns of the engine.
  public private(set) var isResigning = false

  /// Begins to read.
  ///
  /// - Throws: when the folder cannot be read.
  public init(
    _ stream: any ReplicatedStream, engine: EngineSettings, log: ReplicatedLogSettings,
    _ surroundings: ShardSurroundings
  ) throws(StorageError) {
    self.stream = stream
    self.surroundings = surroundings
    engineSettings = engine
    logSettings = log
    self.log = try Self.openLog(stream, log, surroundings)
  }

  /// The log of a new life: it goes on where the checkpoint of the folder ends.
  private static func openLog(
    _ stream: any ReplicatedStream, _ settings: ReplicatedLogSettings, _ surroundings: ShardSurroundings
  ) throws(StorageError) -> ReplicatedLog {
    let file = try CheckpointFile.load(surroundings.storage)
    let mark = file.flatMap { LogMark(decoding: $0.mark) }
    if file != nil, mark == nil {
      throw StorageError(
        kind: .damaged, operation: "read", path: "checkpoint",
        reason: "it does not say where in the log of the cluster it stands; this is the folder of a single server")
    }
    return ReplicatedLog(stream, from: mark, identity: file?.identity, settings: settings, surroundings.log)
  }

  /// Gives the leadership to `node` (empty: to any) as soon as all that was decided until now is committed. To be called between
  /// two turns of the engine. What waits for a gate may still be shown until `turn` gives `.deposed`; what the engine would
  /// decide from now on is dropped. Changes nothing while the node does not lead.
  public func resign(to node: String) {
    guard case .leading = state else { return }
    isResigning = true
    log.resign(to: node)
  }

  /// Goes on: opens, applies, begins to lead, starts again. To be called in each turn of the loop, before commands.
  ///
  /// - Parameter nowNs: service time.
  /// - Returns: what has changed; nil for nothing that clients must know.
  public func turn(nowNs: Int64) -> Change? {
    switch state {
    case .stopped, .needsFolder: return nil
    case .leading:
      guard log.failure != nil else { return nil }
      return isStopped() ? stop() : startAgain()
    case .reading, .following:
      do { return try follow(nowNs) } catch { return isStopped() ? stop() : stop("\(error)") }
    }
  }

  private func follow(_ nowNs: Int64) throws(EngineError) -> Change? {
    let status = log.status
    if let reason = status.stop { return stop(reason, status.problem ?? "") }
    if engine == nil {
      guard status.isIdentified else {
        // Nobody has ever led: whoever does gives the log its identity.
        let isEmpty = status.isCurrent && status.position == FoldPosition()
        log.setCandidacy(mayLead: isEmpty && logSettings.mayBegin)
        return nil
      }
      try open(status)
    }
    guard let engine, let lanes else { return nil }
    _ = try engine.follow(
      finished: lanes.takeFinished(), isWaitingForSpace: lanes.isWaitingForSpace, aheadMs: status.serviceMs)
    log.setCandidacy(mayLead: true)
    guard case .leading = log.status.role else { return nil }
    return try lead(engine, lanes, nowNs)
  }

  private func open(_ status: ReplicationStatus) throws(EngineError) {
    let lanes = surroundings.openLanes()
    self.lanes = lanes
    let log = log
    let surroundings = EngineSurroundings(storage: surroundings.storage, io: lanes.queue) { _ in log }
    engine = try Engine.follow(surroundings, engineSettings, nowNs: status.serviceMs &* TimeUnits.nsPerMs)
    state = .following
  }

  /// Everything before this node's epoch is applied: it leads, unless it was deposed in this moment.
  private func lead(_ engine: Engine, _ lanes: any ShardLanes, _ nowNs: Int64) throws(EngineError) -> Change? {
    // Records may have come since the last ones were applied; there are none behind the beginning of the epoch.
    _ = try engine.follow(finished: lanes.takeFinished(), isWaitingForSpace: lanes.isWaitingForSpace, aheadMs: 0)
    do {
      try engine.lead(nowNs: nowNs)
    } catch {
      guard case .following = log.status.role else { throw error }
      return nil
    }
    state = .leading
    return .began
  }

  // MARK: Ends

  private func isStopped() -> Bool { log.status.stop != nil }

  /// What this node has in memory may not be in the log.
  private func startAgain() -> Change {
    close()
    do {
      log = try Self.openLog(stream, logSettings, surroundings)
      state = .reading
      return .deposed
    } catch {
      return stop("\(error)")
    }
  }

  /// The folder is that of another node now: reads on from its checkpoint.
  ///
  /// - Throws: when the folder cannot be read.
  public func reopen() throws(StorageError) {
    guard case .needsFolder = state else { preconditionFailure("a folder was asked for before it is opened again") }
    log = try Self.openLog(stream, logSettings, surroundings)
    state = .reading
  }

  private func close() {
    engine?.abandonSnapshot()
    lanes?.abandon()
    lanes = nil
    engine = nil
    isResigning = false
  }

  private func stop() -> Change { stop(log.status.stop, log.status.problem ?? "") }

  private func stop(_ text: String) -> Change { stop(nil, text) }

  private func stop(_ reason: LogStop?, _ text: String) -> Change {
    close()
    if reason == .truncated {
      state = .needsFolder(text)
      return .needsFolder
    }
    state = .stopped(reason, text)
    return .stopped
  }
}
