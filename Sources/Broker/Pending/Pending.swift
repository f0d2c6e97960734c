// The room of pending messages: accepted and not released yet, in memory or on disk; and what became of messages lately.
//
// Near messages that find no room in memory are spilled (`Pending+Spilling`).
//
// Holds: messages of a lane are released in (time, sequence) order, and `watermarks` says how far. A released message is retired later:
// until then it stays in the index and, marked, in its slot. No command can see that, because `place(of:)` retires a marked
// message that it finds, and whatever goes through all messages retires them first.
// Leaves to others: topics and their logs (Topics), what a release appends where (`Releasing`), reading from disk for a
// command (ColdReads).
//
// Why messages are not retired at once: the index and the table of outcomes are two random places in large tables for each
// message, half the cost of a release. In a burst the messages behind it would wait for that; done later, it costs the same
// or less and nothing waits.

import DataFiles
import DelayStore
import Primitives
import TimingWheel

/// Pending messages.
final class Pending {
  /// A message that has been released and is to be retired.
  struct RetiringMessage: BitwiseCopyable {
    var slot: UInt32
    var dueMs: UnixMs
    var atMs: UnixMs
    /// Its offset in its topic; `nowhere` for an expiry timer, and when its topic is gone.
    var offset: TopicOffset
  }

  /// A message that is being released. Its record is good until it is retired.
  struct ReleasingMessage {
    fileprivate let slot: UInt32
    let record: MessageRecord
    let topic: UInt32
    /// When it was to be released.
    let leaveMs: UnixMs
    let sequence: Sequence
  }

  /// An id of the server's making, and its hash.
  private struct MadeID {
    var topic: UInt32
    var sequence: Sequence
    var hash: IDHash
  }

  static let nowhere = TopicOffset.max
  /// So many released messages may wait to be retired at most: 4 MiB.
  static let retiringMax = 1 << 17

  let settings: BrokerSettings
  let turn: Turn
  private let timers: Timers
  private let topics: Topics
  private let hasher: SipHash128
  // `Pending+Spilling` is the only other file that uses these.
  let store: DelayStore
  @exclusivity(unchecked) var near = NearMessages()
  private let outcomes: RecentOutcomes
  @exclusivity(unchecked) private var retiring = Fifo<RetiringMessage>(keptMax: retiringMax)
  private var isSweeping = false
  /// When a broker that only replays forgets outcomes again.
  private var nextSweepMs: UnixMs = 0
  /// The id that the server would make next in the topic where it made the last one, and the one after it.
  @exclusivity(unchecked) private var nextMade = MadeID(topic: 0, sequence: 0, hash: IDHash(low: 0, high: 0))
  @exclusivity(unchecked) private var laterMade: MadeID?
  /// Everything up to here has been released.
  @exclusivity(unchecked) private(set) var watermarks = Watermarks(overall: Watermark(dueMs: 0, sequence: 0))

  init(
    _ settings: BrokerSettings, _ turn: Turn, _ timers: Timers, _ topics: Topics, _ hasher: SipHash128,
    _ io: any IOQueue
  ) {
    self.settings = settings
    self.turn = turn
    self.timers = timers
    self.topics = topics
    self.hasher = hasher
    store = DelayStore(sliceMs: settings.sliceMs, hasher: hasher, io: io)
    outcomes = RecentOutcomes(windowMs: settings.idWindowMs, io: io)
    store.owner = self
  }

  // MARK: Looking

  /// Pending messages. O(1).
  var count: Int { store.index.count - retiringCount }
  /// Those that lie on disk only.
  var onDiskCount: Int { store.onDiskCount }
  /// Those of them that are near, and have no room in memory; those cancelled or moved since count until their time comes. O(lanes).
  var spilledCount: Int { near.spilledCount }
  /// Whether there are any, or some are on their way back.
  var hasSpilled: Bool { !near.spilledLanes.isEmpty }
  /// Those that are due.
  var dueCount: Int { near.dueCount }
  /// Whether messages are due: they go before other work.
  var hasDue: Bool { near.hasDue }
  /// Bytes of those in memory.
  var recordBytes: Int { near.recordBytes }
  /// About how much memory they take, with the index and what is remembered of others, as it was measured at some hundred
  /// thousand: an entry of the index takes 28 bytes with its share of the free places, a message in memory a slot, a timer and
  /// an allocation of its own.
  var memoryBytes: Int {
    near.memoryBytes + store.index.count * 28 + near.spilledCount * 24 + outcomes.count * 48
  }
  /// Released messages that have not been retired.
  var retiringCount: Int { retiring.count }
  /// Ids with a recent outcome. O(released messages that have not been retired).
  var outcomeCount: Int {
    retire()
    return outcomes.count
  }
  var wheelLevels: [LevelSnapshot] { near.levelSnapshots }
  /// The slices on disk that hold messages.
  var diskSlices: [SliceSnapshot] { store.sliceSnapshots }
  /// Messages moved out of slices since the start.
  var demotedCount: UInt64 { store.cameNearCount }

  /// Where a pending message is; nil when there is none of this id: then `outcome(of:)` knows what became of it. O(1), and
  /// O(released messages) when it has been released and not been retired.
  func place(of hash: IDHash) -> MessagePlace? {
    let place = store.index.find(hash)
    guard !retiring.isEmpty, case .memory(let slot)? = place, near[slot].pointee.timer == PendingSlab.isReleased else {
      return place
    }
    retire()
    return nil
  }

  /// What became lately of a message that `place(of:)` did not find. O(1).
  func outcome(of hash: IDHash) -> RecentOutcome.Fate? { outcomes.find(hash, nowMs: turn.nowMs)?.fate }

  /// The message at a place in memory; nil for one on disk. Good until the message goes.
  func record(at place: MessagePlace) -> MessageRecord? {
    guard case .memory(let slot) = place, let record = near[slot].pointee.record else { return nil }
    return MessageRecord(record)
  }

  /// The length of the record at a place in memory; nil for one on disk.
  private func bytes(at place: MessagePlace) -> Int? { record(at: place)?.length }

  /// When a pending message is to leave; of one on disk, when the first of its slice is.
  private func earliestLeaveMs(at place: MessagePlace) -> UnixMs {
    switch place {
    case .memory(let slot): near[slot].pointee.dueMs
    case .disk(let slice, _): store.startMs(slice: slice)
    }
  }

  // MARK: Scheduling

  /// Has the processor fetch the index entry of a message that is about to be scheduled.
  func prefetchEntry(_ hash: IDHash) { store.index.prefetchEntry(hash) }

  /// The hash of an id of the server's making. It also has the processor fetch the index entry of the id that follows it, and the
  /// way to that of the one after it, while the next requests are read: with millions pending they are in no cache, and waiting
  /// for them took a sixth of the time of a schedule.
  func hash(of id: GeneratedID, in topic: Topic) -> IDHash {
    let isExpected = nextMade.sequence == id.sequence && nextMade.topic == topic.number
    let hash = isExpected ? nextMade.hash : computeHash(of: id, topic.number)
    nextMade = (isExpected ? laterMade : nil) ?? madeID(after: id.sequence, topic.number)
    store.index.prefetchEntry(nextMade.hash)
    // Topics that take turns would have it computed in vain.
    laterMade = isExpected ? madeID(after: nextMade.sequence, topic.number) : nil
    if let laterMade { store.index.prefetchPath(laterMade.hash) }
    return hash
  }

  private func madeID(after sequence: Sequence, _ topic: UInt32) -> MadeID {
    let id = GeneratedID(sequence + MessageSequence.perRecord)
    return MadeID(topic: topic, sequence: id.sequence, hash: computeHash(of: id, topic))
  }

  private func computeHash(of id: GeneratedID, _ topic: UInt32) -> IDHash {
    withUnsafeTemporaryAllocation(byteCount: GeneratedID.length, alignment: 1) { text in
      id.write(to: text.baseAddress!)
      return hasher.hash(topic: topic, id: UnsafeRawBufferPointer(text))
    }
  }

  /// When a message may be released: at its due time or, when that is past, as early as order allows. It must stand behind the
  /// watermark and behind what is due already, and not ahead of what the wheel still holds.
  func leaveMs(_ dueMs: UnixMs, topic: UInt32) -> UnixMs {
    if dueMs > turn.nowMs { return dueMs }
    return max(
      min(dueMs, near.currentTimeMs(ofTopic: topic)), watermarks.overall.dueMs, near.lastDueMs(ofTopic: topic) ?? 0)
  }

  func apply(_ scheduled: Scheduled) {
    let record = scheduled.message.record
    // The topic was deleted since, or a salvage left out the record that made it: its number is not used again.
    guard let topic = topics[record.topic] else { return topics.noteNumber(record.topic) }
    apply(scheduled, topic, hasher.hash(topic: topic.number, id: record.id))
  }

  /// As `apply`, when the topic and the hash of the id are known already.
  func apply(_ scheduled: Scheduled, _ topic: Topic, _ hash: IDHash) {
    schedule(scheduled.message.record, topic, leaveMs: scheduled.leaveMs, hash: hash)
  }

  func apply(_ scheduled: ScheduledMany) { scheduled.forEach { apply($0) } }

  /// Stores a recorded message. It replaces the pending message of the same id, if there is one.
  func schedule(_ record: MessageRecord, _ topic: Topic, leaveMs: UnixMs, hash: IDHash) {
    if let old = place(of: hash) {
      topic.removePending(bytes: bytes(at: old))
      topic.noteWithdrawn(leaveMs: earliestLeaveMs(at: old), by: turn.records.lastSequence)
      withdraw(hash, old)
    }
    topic.addPending(bytes: record.length)
    if leaveMs > near.reachedMs {
      if store.belongsOnDisk(dueMs: leaveMs) { return store.insert(record, dueMs: leaveMs, hash: hash) }
      // A slice keeps when a message leaves, not when it was due: one that leaves later than it was due stays in memory.
      if !hasRoomNear, record.dueMs == leaveMs {
        return near.noteSpilled(store.spill(record, dueMs: leaveMs, hash: hash), topic: topic.number)
      }
    }
    let slot = near.insert(copyOf: record, leaveMs: leaveMs, hash: hash)
    near.noteUncopied(slot)
    store.index.set(hash, .memory(slot))
  }

  func apply(_ cancelled: Cancelled) {
    let topic = topics[cancelled.topic]
    // A salvage may have left out the record by which the message came.
    guard let place = place(of: cancelled.hash) else { return }
    topic?.noteWithdrawn(leaveMs: earliestLeaveMs(at: place), by: turn.records.lastSequence)
    topic?.removePending(bytes: bytes(at: place))
    withdraw(cancelled.hash, place)
    remember(cancelled.hash, .cancelled, atMs: cancelled.atMs)
  }

  /// Removes an expiry timer, if it is there.
  func withdrawTimer(_ hash: IDHash, _ topic: Topic) {
    guard let place = place(of: hash) else { return }
    topic.removePending(bytes: bytes(at: place))
    withdraw(hash, place)
  }

  private func withdraw(_ hash: IDHash, _ place: MessagePlace) {
    switch place {
    case .disk(let slice, let position): store.remove(hash, slice: slice, position: position)
    case .memory(let slot):
      let message = near[slot]
      if message.pointee.copySlice != PendingSlab.noSlice {
        store.buryCopy(slice: message.pointee.copySlice, position: message.pointee.copyPosition)
      }
      near.withdraw(slot)
      store.index.remove(hash)
    }
  }

  // MARK: Releasing

  /// Brings what is due into the due queues and says how far the next `limit` messages reach; nil when none may be released.
  func planRelease(limit: Int) -> Watermarks? {
    near.takeExpired(toMs: min(turn.nowMs, store.loadedMs - 1), limit: 2 * limit)
    return near.planRelease(limit: limit, after: watermarks)
  }

  /// Whether something that was due at the beginning of the turn has not been released.
  var isBehind: Bool {
    near.hasDue || store.loadedMs <= turn.nowMs || (near.nextWakeUpMs ?? .max) <= turn.nowMs
      || hasSpilledDue(turn.nowMs)
  }

  /// In replay: brings everything that leaves by `watermarks` into the due queue. `drain` does the disk work that this needs.
  func bringNear(through watermarks: Watermarks, drain: () -> Void) {
    let limitMs = watermarks.overall.dueMs
    while store.loadedMs <= limitMs {
      store.advance(nowMs: limitMs)
      if store.loadedMs > limitMs { break }
      drain()
      if turn.failure != nil { return }
    }
    bringBack(through: watermarks, drain: drain)
    near.takeExpired(toMs: limitMs, limit: .max)
  }

  /// Lanes with messages that may be released.
  var releasableLanes: LaneSet { near.releasableLanes }

  /// The next message of a release in a lane, in order; nil when the release is through.
  @inline(__always)
  func nextDue(_ lane: Int, through limit: Watermark) -> ReleasingMessage? {
    guard let slot = near.takeDue(lane, through: limit) else { return nil }
    let message = near[slot]
    return ReleasingMessage(
      slot: slot, record: MessageRecord(message.pointee.record!), topic: message.pointee.topic,
      leaveMs: message.pointee.dueMs, sequence: message.pointee.sequence)
  }

  /// Notes where a message went, or `nowhere`; its record is good until the next call of the room.
  @inline(__always)
  func released(_ message: ReleasingMessage, to offset: TopicOffset, atMs: UnixMs) {
    if retiring.count >= Self.retiringMax { retire(limit: settings.releasesPerTurn) }
    near[message.slot].pointee.timer = PendingSlab.isReleased
    retiring.append(RetiringMessage(slot: message.slot, dueMs: message.record.dueMs, atMs: atMs, offset: offset))
  }

  /// Everything up to `watermarks` has been released.
  func released(through watermarks: Watermarks) { self.watermarks = watermarks }

  /// Retires released messages, `limit` at most: takes them out of the index, remembers where they went and frees their memory.
  /// Amortised O(1) for each.
  func retire(limit: Int = .max) {
    if retiring.isEmpty { return }
    for _ in 0..<min(limit, retiring.count) {
      prefetchRetiring()
      let gone = retiring.removeFirst()
      let hash = near[gone.slot].pointee.hash
      if gone.offset != Self.nowhere {
        remember(hash, .released(offset: gone.offset, dueMs: gone.dueMs), atMs: gone.atMs)
      }
      store.index.remove(hash)
      near.free(gone.slot)
    }
  }

  /// Prefetches what the next messages will need: the slot of one, the way to the index entry of an earlier one, and the table
  /// entries and the record's head of one earlier still.
  private func prefetchRetiring() {
    if let farthest = retiring.ahead(24) { prefetch(near[farthest.slot]) }
    if let later = retiring.ahead(16) { store.index.prefetchPath(near[later.slot].pointee.hash) }
    guard let soon = retiring.ahead(8) else { return }
    let message = near[soon.slot]
    if let record = message.pointee.record { prefetch(record) }
    store.index.prefetchEntry(message.pointee.hash)
    outcomes.prefetchEntry(message.pointee.hash)
  }

  // MARK: Recent outcomes

  /// Remembers what became of a message for the id window.
  func remember(_ hash: IDHash, _ fate: RecentOutcome.Fate, atMs: UnixMs) {
    outcomes.set(hash, RecentOutcome(atMs: atMs, fate: fate))
    if !isSweeping, !turn.isReplaying, outcomes.count > 0 { startSweeping() }
  }

  /// Forgets some of the outcomes that are out of the window. Goes on while there are any: an idle server without them never
  /// wakes.
  func sweepTimerFired() {
    outcomes.sweep(nowMs: turn.nowMs)
    isSweeping = false
    if outcomes.count > 0 { startSweeping() }
  }

  /// Retires some messages, forgets outcomes that are out of the window, and brings near what is due soon after `aheadMs`: a
  /// broker that only replays has no timers and no turns.
  func tidyWhileFollowing(aheadMs: UnixMs) {
    let nowMs = max(turn.nowMs, aheadMs)
    retire(limit: settings.releasesPerTurn)
    store.advance(nowMs: nowMs)
    bringBackWhileFollowing(nowMs: nowMs)
    guard turn.nowMs >= nextSweepMs else { return }
    nextSweepMs = turn.nowMs + sweepIntervalMs
    outcomes.sweep(nowMs: turn.nowMs)
  }

  private var sweepIntervalMs: Int64 { max(100, settings.idWindowMs / RecentOutcomes.sweepsPerWindow) }

  private func startSweeping() {
    isSweeping = true
    _ = timers.start(dueMs: turn.nowMs + sweepIntervalMs, TimerTarget(kind: .sweep))
  }

  // MARK: Turns

  /// Brings messages into memory whose time is near.
  func advance() {
    store.advance(nowMs: turn.nowMs)
    bringBack(nowMs: turn.nowMs)
  }

  /// When there is something to do; nil for never.
  var nextWakeUpMs: UnixMs? {
    if near.hasDue || !retiring.isEmpty { return turn.nowMs }
    var next = UnixMs.max
    for one in [near.nextWakeUpMs, store.nextWakeUpMs, nextBringBackMs] { next = min(next, one ?? .max) }
    return next == .max ? nil : next
  }

  /// Ends replay: the wheel gets its real resolution.
  func start() {
    if store.routedMs == 0 { store.startEmpty(nowMs: turn.nowMs) }
    retire()
    let startMs = max(0, min(turn.nowMs, max(near.reachedMs, watermarks.overall.dueMs)))
    near.restart(tickMs: settings.tickMs, wheelSize: settings.wheelSize, startMs: startMs)
    if outcomes.count > 0 { startSweeping() }
  }

  // MARK: Reading on disk

  /// Reads the message at a place on disk; see `DelayStore.read`.
  func read(slice: UInt32, position: Int, done: @escaping (ColdRecord?) -> Void) -> ColdRecord? {
    store.read(slice: slice, position: position, done: done)
  }

  /// The slices that hold messages of these times on disk, in due order.
  func slicesOnDisk(_ dueMs: ClosedRange<UnixMs>) -> [UInt32] {
    store.slicesOnDisk(fromMs: dueMs.lowerBound).filter { $0.startMs <= dueMs.upperBound }.map(\.number)
  }

  /// Looks through a slice, unless it has no messages any more: then false, and `done` is not called.
  func list(slice: UInt32, _ request: SliceListRequest, done: @escaping ([SliceListEntry]) -> Void) -> Bool {
    guard store.isOnDisk(slice: slice) else { return false }
    store.list(slice: slice, request, done: done)
    return true
  }

  /// The messages in memory. O(messages in memory).
  func forEachNear(_ body: (MessageRecord, Sequence) -> Void) {
    retire()
    near.forEach { _, message in body(MessageRecord(message.pointee.record!), message.pointee.sequence) }
  }

  // MARK: Checkpoints

  /// Whether a checkpoint may be taken: not while a slice is being demoted.
  var isReadyForCheckpoint: Bool { store.isAtRest }
  /// Whether a checkpoint would free files.
  var hasObsoleteFiles: Bool { store.hasObsolete(watermarkMs: releasedMs) }
  /// Everything due before this has been released.
  private var releasedMs: UnixMs { near.releasedMs(watermarks) }

  /// Writes copies of messages in memory that have none; a bounded number a turn. True when few are left.
  func prepareCheckpoint() -> Bool {
    for _ in 0..<min(settings.copiesPerTurn, near.uncopiedCount) { copyNext() }
    return near.uncopiedCount <= settings.copiesPerTurn
  }

  /// Writes a copy of the next message that may need one into its slice.
  private func copyNext() {
    let message = near[near.takeUncopied()]
    guard let record = message.pointee.record, message.pointee.copySlice == PendingSlab.noSlice,
      message.pointee.timer != PendingSlab.isReleased, topics[message.pointee.topic] != nil
    else { return }
    let copy = store.keepCopy(MessageRecord(record), dueMs: message.pointee.dueMs)
    message.pointee.copySlice = copy.slice
    message.pointee.copyPosition = copy.position
  }

  /// The first part of a checkpoint.
  func writeTimes(to writer: inout StateWriter) {
    writer.write(watermarks.overall.dueMs)
    writer.write(watermarks.overall.sequence)
    writer.write(store.routedMs)
  }

  /// The second part, the files. Every message in memory gets a copy on disk first.
  func writeFiles(to writer: inout StateWriter, _ unsynced: inout [String]) {
    retire()
    while near.uncopiedCount > 0 { copyNext() }
    let slices = store.checkpoint(watermarkMs: releasedMs, unsynced: &unsynced)
    writer.write(UInt32(slices.count))
    for slice in slices {
      writer.write(UInt8(slice.key.level))
      writer.write(slice.key.number)
      writer.write(slice.generation)
      writer.write(UInt64(slice.length))
    }
    let buckets = outcomes.checkpoint(nowMs: turn.nowMs, unsynced: &unsynced)
    writer.write(UInt32(buckets.count))
    for bucket in buckets {
      writer.write(bucket.bucket)
      writer.write(UInt64(bucket.length))
    }
  }

  /// The third part, the lanes that are behind.
  func writeLanes(to writer: inout StateWriter) {
    writer.write(UInt32(watermarks.behind.count))
    for behind in watermarks.behind {
      writer.write(UInt8(behind.lane))
      writer.write(behind.reached.dueMs)
      writer.write(behind.reached.sequence)
    }
  }

  /// Files that the checkpoint no longer names.
  func takeObsolete() -> [String] { store.takeObsolete() + outcomes.takeObsolete() }

  /// Restores the state of a checkpoint; topics must be restored before. Reads every file of recent outcomes, and every slice or
  /// the index file.
  ///
  /// - Throws: `damaged` when a file does not hold what the checkpoint says.
  func recover(_ state: State, stamp: IndexStamp?, files: OpenFiles) throws(StorageError) {
    watermarks = state.watermarks
    try outcomes.recover(state.buckets, files: files)
    near.restart(tickMs: 1, wheelSize: 512, startMs: max(0, watermarks.overall.dueMs))
    let released = watermarks
    var isCounted = false
    let counted = { (counts: [PendingCount]) in
      isCounted = true
      for count in counts { self.topics[count.topic]?.setPending(count.messages, bytes: count.bytes) }
    }
    try store.recover(state.slices, routedMs: state.handMs, files: files, stamp: stamp, counted: counted) { record in
      // The messages of a deleted topic are gone.
      let place = Watermark(dueMs: record.dueMs, sequence: record.sequence)
      guard place > released.reached(topic: record.topic), let topic = topics[record.topic] else { return false }
      if !isCounted { topic.addPending(bytes: record.length) }
      return true
    }
  }

  /// Writes the index file of a checkpoint since which nothing has changed, if so much is far that it is worth it. Not while messages
  /// of deleted topics wait for their time: a start that reads the slices drops them.
  ///
  /// - Parameter bytesMax: the file may have so many bytes at most.
  func writeIndexFile(
    _ stamp: IndexStamp, sliceBytesMin: Int, bytesMax: Int, storage: any Storage
  ) throws(StorageError) {
    let counts = topics.all.map { PendingCount(topic: $0.number, messages: $0.pendingCount, bytes: $0.pendingBytes) }
    guard retiring.isEmpty, counts.reduce(0, { $0 + $1.messages }) == store.index.count else { return }
    try store.writeIndexFile(stamp, counts: counts, sliceBytesMin: sliceBytesMin, bytesMax: bytesMax, storage: storage)
  }

  // MARK: Tests

  /// - Parameter reading: gives bytes of a file, for what messages on disk say; without it their ids alone count.
  func digest(into lines: inout [String], asOf nowMs: UnixMs, reading: DigestReader?) {
    lines.append("watermark \(watermarks.overall.dueMs) \(watermarks.overall.sequence)")
    for behind in watermarks.behind {
      lines.append("watermark of lane \(behind.lane) \(behind.reached.dueMs) \(behind.reached.sequence)")
    }
    var pending: [String] = []
    store.index.forEach { hash, place in
      var said: (dueMs: UnixMs, sequence: Sequence, topic: UInt32)?
      switch place {
      case .memory(let slot):
        let message = near[slot].pointee
        if message.timer == PendingSlab.isReleased { return }
        said = (message.dueMs, message.sequence, message.topic)
      case .disk(let slice, let position):
        if let reading { said = store.peek(slice: slice, position: position, reading: reading) }
        precondition(said != nil || reading == nil, "the index names a message that is not on disk")
      }
      // The messages of a deleted topic go when their time comes.
      if let said, topics[said.topic] == nil { return }
      let rest = said.flatMap { reading == nil ? nil : " \($0.dueMs) \($0.sequence) \($0.topic)" } ?? ""
      pending.append("pending \(hash.low) \(hash.high)\(rest)")
    }
    var fates = outcomes.all(nowMs: nowMs)
    for gone in (0..<retiring.count).compactMap({ retiring.ahead($0) }) where gone.offset != Self.nowhere {
      fates[near[gone.slot].pointee.hash] = RecentOutcome(
        atMs: gone.atMs, fate: .released(offset: gone.offset, dueMs: gone.dueMs))
    }
    if settings.idWindowMs == 0 { fates = [:] }
    lines += pending.sorted() + fates.map { "outcome \($0.low) \($0.high) \($1.digest)" }.sorted()
  }

  /// What is in memory is where the index says, and waits for its time. O(pending messages).
  func checkInvariants() {
    near.checkInvariants()
    var inMemory = 0
    var onDisk = 0
    store.index.forEach { hash, place in
      switch place {
      case .memory(let slot):
        precondition(
          near[slot].pointee.record != nil && PendingIndex.kept(near[slot].pointee.hash) == hash,
          "the index names another message")
        inMemory += 1
      case .disk: onDisk += 1
      }
    }
    var slots = 0
    near.forEach { _, message in
      slots += 1
      let isReleased = message.pointee.timer == PendingSlab.isReleased
      let position = Watermark(dueMs: message.pointee.dueMs, sequence: message.pointee.sequence)
      precondition(
        isReleased || position > watermarks.reached(topic: message.pointee.topic),
        "a message was left behind by the watermark")
    }
    precondition(inMemory == slots, "\(slots) messages in memory, \(inMemory) in the index")
    precondition(onDisk == store.onDiskCount, "\(store.onDiskCount) messages on disk, \(onDisk) in the index")
    checkSpilled()
  }
}

extension Pending: DelayStoreOwner {
  var hasRoomNear: Bool { near.memoryBytes < settings.nearBytesMax }

  func wasSpilled(_ message: SpilledMessage, topic: UInt32) { near.noteSpilled(message, topic: topic) }

  func cameNear(_ record: MessageRecord, hash: IDHash, slice: UInt32, position: Int) {
    let slot = near.insert(copyOf: record, leaveMs: record.dueMs, hash: hash)
    near[slot].pointee.copySlice = slice
    near[slot].pointee.copyPosition = position
    store.index.set(hash, .memory(slot))
  }

  func isAlive(topic: UInt32) -> Bool { topics[topic] != nil }

  func storeIsDamaged(_ error: StorageError) { turn.fail(error) }
}
