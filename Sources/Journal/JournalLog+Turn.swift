// One turn of the journal thread: takes all buffers, writes and syncs them, publishes the sequences; then prepares and
// releases segments.

import DecisionLog
import Primitives

extension JournalLog {
  /// One turn of the journal thread: take all, write, sync if it is due, publish; then look after the segments.
  public func turn() -> NextTurn {
    if isFinished || hasFailed.load(ordering: .acquiring) { return .finished }
    let isStopping = isStopping.load(ordering: .sequentiallyConsistent)
    do throws(StorageError) {
      // With a full disk, what a checkpoint gives back may be what the next batch needs.
      if isSpaceLow { try releaseSegments() }
      let didWrite = try commitQueued(isStopping: isStopping)
      if isStopping && !didWrite {
        try writer.close()
        isFinished = true
        return .finished
      }
      try releaseSegments()
      let more = try prepareSegment(isIdle: !didWrite)
      reserve.store(writer.reservedBytes, ordering: .relaxed)
      return didWrite || more ? .now : idleTurn()
    } catch {
      fail(error)
      return .finished
    }
  }

  /// Writes the queued buffers and syncs if that is due; returns whether there were any.
  private func commitQueued(isStopping: Bool) throws(StorageError) -> Bool {
    // Read before the queue is taken: whoever asks for a sync has submitted the records before.
    var mustSync = syncIsWanted.exchange(false, ordering: .sequentiallyConsistent) || isStopping
    shared.withLock {
      swap(&taken, &$0.queue)
      mustSync = mustSync || $0.mustSync
      $0.mustSync = false
    }
    var bytes = 0
    for buffer in taken {
      try writer.write(buffer)
      bytes += buffer.byteCount
    }
    let didWrite = !taken.isEmpty
    if didWrite { written.store(writer.writtenSequence, ordering: .releasing) }
    if writer.needsSync && isSyncDue(mustSync, isStopping: isStopping) { try timedSync() }
    // A change of segments syncs too.
    let durableNow = writer.durableSequence
    let isNews = didWrite || durable.load(ordering: .relaxed) != durableNow
    durable.store(durableNow, ordering: .releasing)
    if !writer.needsSync { unsyncedSinceNs = nil } else if unsyncedSinceNs == nil { unsyncedSinceNs = clock() }
    if didWrite { giveBack(bytes: bytes) }
    if isNews { notify() }
    return didWrite
  }

  private func isSyncDue(_ mustSync: Bool, isStopping: Bool) -> Bool {
    if isStopping { return true }
    switch settings.policy {
    case .always: return mustSync || hasPassed(Self.lingerNs)
    case .interval(let ms): return hasPassed(Int64(clamping: ms) &* TimeUnits.nsPerMs)
    case .never: return false
    }
  }

  private func hasPassed(_ ns: Int64) -> Bool {
    guard let since = unsyncedSinceNs else { return ns <= 0 }
    return clock() &- since >= ns
  }

  private func timedSync() throws(StorageError) {
    let start = clock()
    try writer.sync()
    let ns = clock() &- start
    shared.withLock {
      $0.counters.syncs += 1
      $0.counters.lastSyncNs = ns
      $0.counters.maxSyncNs = max($0.counters.maxSyncNs, ns)
      $0.counters.totalSyncNs &+= ns
      $0.counters.syncUs.add(ns / 1000)
    }
  }

  private func giveBack(bytes: Int) {
    inFlight.wrappingSubtract(bytes, ordering: .relaxed)
    shared.withLock { shared in
      shared.counters.batches += taken.count
      shared.counters.bytes += bytes
      for buffer in taken { shared.pool.recycle(buffer) }
    }
    taken.removeAll(keepingCapacity: true)
  }

  private func releaseSegments() throws(StorageError) {
    let sequence = released.load(ordering: .acquiring)
    guard sequence > releasedDone else { return }
    try writer.release(upTo: min(sequence, writer.durableSequence))
    releasedDone = sequence
    spaceRetryAtNs = .min
  }

  /// Does a part of making the next segment ready, when idle or when the current one is half used; returns whether there is
  /// more to do now.
  private func prepareSegment(isIdle: Bool) throws(StorageError) -> Bool {
    guard writer.needsPreparation else {
      setSpaceLow(false)
      return false
    }
    guard isIdle || writer.isHalfUsed, !isSpaceLow || clock() >= spaceRetryAtNs else { return false }
    do throws(StorageError) {
      let more = try writer.prepareStep()
      setSpaceLow(false)
      return more
    } catch {
      guard error.kind == .diskFull else { throw error }
      spaceRetryAtNs = clock() &+ Self.spaceRetryNs
      setSpaceLow(true)
      return false
    }
  }

  private func setSpaceLow(_ isLow: Bool) {
    guard spaceIsLow.exchange(isLow, ordering: .acquiringAndReleasing) != isLow else { return }
    notify()
  }

  private func idleTurn() -> NextTurn {
    var waitNs = Int64.max
    if let since = unsyncedSinceNs {
      switch settings.policy {
      case .always: waitNs = Self.lingerNs &- (clock() &- since)
      case .interval(let ms): waitNs = Int64(clamping: ms) &* TimeUnits.nsPerMs &- (clock() &- since)
      case .never: break
      }
    }
    if isSpaceLow { waitNs = min(waitNs, spaceRetryAtNs &- clock()) }
    if waitNs == .max { return .whenWoken }
    return waitNs <= 0 ? .now : .after(ns: waitNs)
  }

  private func fail(_ error: StorageError) {
    shared.withLock { $0.failure = error }
    hasFailed.store(true, ordering: .releasing)
    isFinished = true
    notify()
  }
}
