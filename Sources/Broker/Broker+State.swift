// The state of all rooms: written into a checkpoint so that the journal before it can be removed, restored at a start,
// compared and checked in tests.
//
// Holds: each room writes, reads, compares and checks its own part; here stands only their order, which is the checkpoint's.

import DataFiles
import DelayStore
import Primitives

extension Broker {
  /// Whether a checkpoint may be taken in this turn: not while a slice is being demoted, and not before all ends are
  /// recorded.
  public var isReadyForCheckpoint: Bool { failure == nil && pending.isReadyForCheckpoint && groups.hasRecordedEnds }

  /// Whether a checkpoint would give disk space back.
  public var hasObsoleteFiles: Bool {
    topics.hasObsoleteFiles || pending.hasObsoleteFiles
  }

  /// Writes copies of messages in memory that have none, so that the checkpoint which follows need not hold up the loop for
  /// them; a bounded number a turn. True when few are left.
  public func prepareCheckpoint() -> Bool { pending.prepareCheckpoint() }

  /// Writes down all state as of the last record, and a copy on disk of each message in memory that has none. Call between
  /// `endTurn` and the hand-over of the records. O(messages in memory without a copy + groups).
  public func checkpoint() -> CheckpointPlan {
    precondition(isReadyForCheckpoint, "a checkpoint in the middle of something")
    var unsynced: [String] = []
    var writer = StateWriter()
    writer.write(nowMs)
    pending.writeTimes(to: &writer)
    topics.write(to: &writer, unsynced: &unsynced)
    groups.write(to: &writer)
    pending.writeFiles(to: &writer, &unsynced)
    held.write(to: &writer)
    queues.write(to: &writer)
    catalog.write(to: &writer)
    topics.writeQueueCounts(to: &writer)
    committed.write(to: &writer)
    pending.writeLanes(to: &writer)
    let obsolete = topics.takeObsolete()
    return CheckpointPlan(
      state: writer.bytes, sequence: records.lastSequence, unsynced: unsynced,
      removals: obsolete.paths + pending.takeObsolete(), emptyDirectories: obsolete.directories)
  }

  /// Writes the index file of a checkpoint since which nothing was decided.
  ///
  /// - Parameters:
  ///   - sliceBytesMin: not when fewer bytes of messages are far.
  ///   - bytesMax: not when it would have more bytes than this.
  public func writeIndexFile(
    _ stamp: IndexStamp, sliceBytesMin: Int, bytesMax: Int, storage: any Storage
  ) throws(StorageError) {
    try pending.writeIndexFile(stamp, sliceBytesMin: sliceBytesMin, bytesMax: bytesMax, storage: storage)
  }

  /// Restores the state of a checkpoint. Reads every slice or the index file, the active segments and the recent outcomes.
  ///
  /// - Parameter stamp: names the checkpoint; nil to read every slice.
  /// - Throws: `damaged` when a file does not hold what the checkpoint says.
  public func recover(_ state: CheckpointState, stamp: IndexStamp? = nil, files: OpenFiles) throws(StorageError) {
    turn.recover(nowMs: state.nowMs)
    try topics.recover(state.topics, files: files)
    groups.recover(state.groups) { queues.rules(of: $0) }
    held.recover(state.held)
    queues.recover(state.queues)
    catalog.recover(state.catalog)
    committed.recover(state.committed)
    try pending.recover(state.pending, stamp: stamp, files: files)
  }

  /// Ends recovery: time begins at `nowNs`, the wheels get the resolution of the settings, and messages that were with
  /// consumers are ready to be delivered again. Gives the number of milliseconds by which the watermark is ahead of the
  /// clock.
  ///
  /// - Parameter isSalvaged: whether parts of the journal were left out.
  @discardableResult
  public func start(nowNs: Int64, isSalvaged: Bool = false) -> Int64 {
    let clockMs = TimeUnits.msRoundedDown(ns: nowNs)
    turn.start(clockMs: clockMs)
    let ahead = max(0, pending.watermarks.overall.dueMs - clockMs)
    timers.restart(nowMs: nowMs)
    pending.start()
    groups.start(isSalvaged: isSalvaged)
    queues.start(isSalvaged: isSalvaged)
    held.start()
    return ahead
  }

  // MARK: Tests

  /// The state as one number, as of the end of all times: no wait lasts, no outcome is remembered, so that clocks do not matter.
  /// Equal for two brokers that have applied the same records. O(state).
  package func digestHash() -> UInt64 {
    var hash: UInt64 = 14_695_981_039_346_656_037
    for line in digest(asOf: 1 << 60) {
      for byte in line.utf8 { hash = (hash ^ UInt64(byte)) &* 1_099_511_628_211 }
    }
    return hash
  }

  /// All that a checkpoint holds, as lines of text: two brokers with the same state have the same lines. A message that a
  /// start would make ready again counts as ready. Call between turns: acknowledgements are recorded then. O(everything).
  ///
  /// - Parameters:
  ///   - nowMs: waits and outcomes are judged as of this time; nil for now.
  ///   - reading: gives bytes of a file, for what messages on disk say; without it their ids alone count.
  package func digest(asOf nowMs: UnixMs? = nil, reading: DigestReader? = nil) -> [String] {
    precondition(groups.hasRecordedEnds, "a digest in the middle of a turn")
    let nowMs = nowMs ?? turn.nowMs
    var lines: [String] = []
    pending.digest(into: &lines, asOf: nowMs, reading: reading)
    topics.digest(into: &lines, asOf: nowMs)
    lines.append("numbers \(topics.nextNumber) \(groups.nextNumber)")
    held.digest(into: &lines)
    queues.digest(into: &lines)
    catalog.digest(into: &lines)
    committed.digest(into: &lines)
    return lines
  }

  /// Stops when a room contradicts itself. O(everything).
  package func checkInvariants() {
    pending.checkInvariants()
    topics.checkInvariants()
    groups.checkInvariants()
    queues.checkInvariants()
    held.checkInvariants()
    committed.checkInvariants { topics[$0] != nil }
  }
}

/// Gives bytes of a file, or nil when there are none.
package typealias DigestReader = (_ path: String, _ position: Int, _ count: Int) -> [UInt8]?
