// Checkpoints: state written down so that the journal before it can go, and taken up again at a start.

import DataFiles
import DelayStore
import Primitives
import TimingWheel
import TopicLog

extension Broker {
  /// Whether a checkpoint may be taken in this turn. Not while a slice is on the move.
  public var isReadyForCheckpoint: Bool { failure == nil && store.isSettled && groupsWithAcks.isEmpty }

  /// Whether a checkpoint would give disk space back.
  public var hasObsoleteFiles: Bool {
    !obsoletePaths.isEmpty || store.hasObsolete(watermarkMs: passedMs)
  }

  /// Everything due before this has left.
  private var passedMs: UnixMs { dueQueue.isEmpty ? wheel.currentTimeMs : watermark.dueMs }

  /// Writes copies of messages in memory that have none, so that the checkpoint which follows need not hold up the loop for
  /// them; a bounded number a turn. True when few are left.
  public func prepareCheckpoint() -> Bool {
    for _ in 0..<min(settings.copiesPerTurn, slab.uncopied.count) { copyNext() }
    return slab.uncopied.count <= settings.copiesPerTurn
  }

  /// Writes a copy of the next message that may need one into its slice.
  private func copyNext() {
    if let later = slab.uncopied.ahead(16) { prefetch(slab[later]) }
    if let record = slab.uncopied.ahead(8).flatMap({ slab[$0].pointee.record }) { prefetch(record) }
    let message = slab[slab.uncopied.removeFirst()]
    guard let record = message.pointee.record, message.pointee.copySlice == PendingSlab.noSlice,
      message.pointee.timer != PendingSlab.hasLeft,
      topics[message.pointee.topic] != nil
    else { return }
    let copy = store.keepCopy(MessageRecord(record), dueMs: message.pointee.dueMs)
    message.pointee.copySlice = copy.slice
    message.pointee.copyPosition = copy.position
  }

  /// Takes down all state as it is after the last record. Messages in memory without a copy on disk get one. Call between
  /// `endTurn` and the hand-over of the records. O(messages in memory without a copy + groups).
  public func checkpoint() -> CheckpointPlan {
    precondition(isReadyForCheckpoint, "a checkpoint in the middle of something")
    bookLeft()
    while !slab.uncopied.isEmpty { copyNext() }
    var unsynced: [String] = []
    var writer = StateWriter()
    writer.write(nowMs)
    writer.write(watermark.dueMs)
    writer.write(watermark.sequence)
    writer.write(store.routedMs)
    writer.write(nextTopic)
    writeTopics(&writer, &unsynced)
    writeGroups(&writer)
    writeFiles(&writer, &unsynced)
    writeHeld(&writer)
    writeQueues(&writer)
    catalog.write(to: &writer)
    defer {
      obsoletePaths = []
      obsoleteDirectories = []
    }
    var removals = obsoletePaths + store.takeObsolete() + settled.takeObsolete()
    for topic in topicsByNumber { removals += topic.log.takeObsolete() }
    return CheckpointPlan(
      state: writer.bytes, sequence: records.lastSequence, unsynced: unsynced, removals: removals,
      emptyDirectories: obsoleteDirectories)
  }

  /// By number, not by hash: the same run writes the same bytes in the same order.
  private var topicsByNumber: [Topic] { topics.values.sorted { $0.number < $1.number } }

  private func writeTopics(_ writer: inout StateWriter, _ unsynced: inout [String]) {
    writer.write(UInt32(topics.count))
    for topic in topicsByNumber {
      writer.write(topic.number)
      writer.write(topic.name)
      writer.write(topic.retentionMs)
      writer.write(topic.retentionBytes)
      writer.write(topic.log.firstOffset)
      writer.write(topic.log.nextOffset)
      writer.write(topic.log.lastReleasedMs)
      writer.write(UInt64(topic.pendingCount))
      let segments = topic.log.checkpoint(unsynced: &unsynced)
      writer.write(UInt32(segments.count))
      for segment in segments {
        writer.write(segment.baseOffset)
        writer.write(UInt64(segment.length))
        writer.write(UInt8(segment.isSealed ? 1 : 0))
      }
    }
  }

  private func writeGroups(_ writer: inout StateWriter) {
    writer.write(UInt32(groupCount))
    for group in groups {
      guard let group else { continue }
      writer.write(group.number)
      writer.write(group.topic.number)
      writer.write(group.name)
      writer.write(group.cursor.offset)
      writer.write(UInt32(group.outstanding.count))
      group.outstanding.forEach { entry in
        writer.write(entry.pointee.offset)
        writer.write(entry.pointee.attempts)
        writer.write(entry.pointee.marks)
        writer.write(entry.pointee.keyHash)
        writer.write(entry.pointee.untilMs)
      }
    }
    writer.write(UInt32(groups.count))
  }

  private func writeFiles(_ writer: inout StateWriter, _ unsynced: inout [String]) {
    // Slices up to the watermark hold nothing that is still to leave.
    let slices = store.checkpoint(watermarkMs: passedMs, unsynced: &unsynced)
    writer.write(UInt32(slices.count))
    for slice in slices {
      writer.write(UInt8(slice.key.level))
      writer.write(slice.key.number)
      writer.write(slice.generation)
      writer.write(UInt64(slice.length))
    }
    let buckets = settled.checkpoint(nowMs: nowMs, unsynced: &unsynced)
    writer.write(UInt32(buckets.count))
    for bucket in buckets {
      writer.write(bucket.bucket)
      writer.write(UInt64(bucket.length))
    }
  }

  private func writeHeld(_ writer: inout StateWriter) {
    writer.write(UInt32(held.count))
    for message in heldInOrder {
      writer.write(message.owner)
      writer.write(message.checks)
      writer.write(message.nextCheckMs)
      writer.write(message.record.bytes)
    }
  }

  /// Takes up the state of a checkpoint. Reads every slice, the active segments and the settled ids.
  ///
  /// - Throws: `damaged` when a file does not hold what the checkpoint says.
  public func recover(_ state: CheckpointState, files: OpenFiles) throws(StorageError) {
    turn.recover(nowMs: state.nowMs)
    watermark = state.watermark
    for topic in state.topics {
      let added = addTopic(
        topic.number, topic.name, topic.retentionMs, topic.retentionBytes, firstOffset: topic.firstOffset)
      try added.log.recover(
        topic.segments, nextOffset: topic.nextOffset, lastReleasedMs: topic.lastReleasedMs, files: files)
      added.pendingCount = Int(topic.pendingCount)
    }
    nextTopic = state.nextTopic
    for state in state.groups {
      guard let topic = topics[state.topic] else { continue }
      recoverGroup(state, topic)
    }
    while groups.count < Int(state.groupsMade) { groups.append(nil) }
    for message in state.held { keep(message) }
    recoverQueues(state.queues)
    catalog.recover(state.catalog)
    try settled.recover(state.buckets, files: files)
    wheel = TimingWheel(tickMs: 1, wheelSize: 512, startMs: max(0, watermark.dueMs))
    try store.recover(state.slices, routedMs: state.handMs, files: files) { dueMs, sequence in
      (dueMs, sequence) <= watermark
    }
  }

  private func recoverGroup(_ state: CheckpointState.GroupState, _ topic: Topic) {
    // It begins at the first message that is not finished; what `upTo` means is counted from there.
    let first = state.outstanding.reduce(state.cursor) { min($0, $1.offset) }
    let group = addGroup(state.number, topic, state.name, first)
    group.cursor = TopicCursor(offset: state.cursor)
    for entry in state.outstanding.sorted(by: { $0.offset < $1.offset }) {
      if entry.keyHash != 0 { _ = group.joinLine(entry.keyHash, entry.offset) }
      group.outstanding.insert(entry)
      group.noteOutstanding(entry.offset)
    }
  }
}
