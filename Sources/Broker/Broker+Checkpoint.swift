// Checkpoints: state written down so that the journal before it can go, and taken up again at a start.

import DataFiles
import DelayStore
import Primitives
import TimingWheel
import TopicLog

extension Broker {
  /// Whether a checkpoint may be taken in this turn. Not while a slice is on the move.
  public var isReadyForCheckpoint: Bool { failure == nil && pending.isReadyForCheckpoint && groupsWithAcks.isEmpty }

  /// Whether a checkpoint would give disk space back.
  public var hasObsoleteFiles: Bool {
    !obsoletePaths.isEmpty || pending.hasObsoleteFiles
  }

  /// Writes copies of messages in memory that have none, so that the checkpoint which follows need not hold up the loop for
  /// them; a bounded number a turn. True when few are left.
  public func prepareCheckpoint() -> Bool { pending.prepareCheckpoint() }

  /// Takes down all state as it is after the last record. Messages in memory without a copy on disk get one. Call between
  /// `endTurn` and the hand-over of the records. O(messages in memory without a copy + groups).
  public func checkpoint() -> CheckpointPlan {
    precondition(isReadyForCheckpoint, "a checkpoint in the middle of something")
    var unsynced: [String] = []
    var writer = StateWriter()
    writer.write(nowMs)
    pending.writeTimes(to: &writer)
    writer.write(nextTopic)
    writeTopics(&writer, &unsynced)
    writeGroups(&writer)
    pending.writeFiles(to: &writer, &unsynced)
    held.write(to: &writer)
    writeQueues(&writer)
    catalog.write(to: &writer)
    defer {
      obsoletePaths = []
      obsoleteDirectories = []
    }
    var removals = obsoletePaths + pending.takeObsolete()
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

  /// Takes up the state of a checkpoint. Reads every slice, the active segments and the recent outcomes.
  ///
  /// - Throws: `damaged` when a file does not hold what the checkpoint says.
  public func recover(_ state: CheckpointState, files: OpenFiles) throws(StorageError) {
    turn.recover(nowMs: state.nowMs)
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
    held.recover(state.held)
    recoverQueues(state.queues)
    catalog.recover(state.catalog)
    try pending.recover(state.pending, files: files)
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
