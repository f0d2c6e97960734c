// The leader's side of the log: entries of what was submitted, in a window; heartbeats; trouble; giving the leadership away.
//
// Holds: an entry is made when there is room to send it, so that records which come meanwhile travel together.
// Leaves to others: what is on its way (EntryWindow).

import DecisionLog
import Primitives
import ReplicatedStream

extension ReplicatedLog {
  /// A leadership.
  final class Lead {
    var window: EntryWindow
    let sinceNs: Int64
    var lastSentNs: Int64
    var frames = FrameQueue()
    /// Buffers whose records are not all committed.
    var buffers: [(lastRecord: Sequence, bytes: Int)] = []
    /// Whether something waits for what is queued.
    var mustSend = false
    var queuedSinceNs: Int64?
    var retryAtNs: Int64 = .min
    var notes: [CheckpointNote] = []
    /// When the leader notes itself again, as others do by telling it.
    var nextOwnNoteNs: Int64 = .min
    var resignation: String?
    /// The entry by which it gives the leadership away.
    var resignIndex: UInt64?

    var epoch: UInt64 { window.writer.epoch }

    init(window: EntryWindow, sinceNs: Int64, lastSentNs: Int64) {
      self.window = window
      self.sinceNs = sinceNs
      self.lastSentNs = lastSentNs
    }

    /// In the order in which they came: of a node, the last word counts.
    func takeNote() -> CheckpointNote? { notes.isEmpty ? nil : notes.removeFirst() }

    func wakeUpNs(_ leadership: Leadership, isSeekingEnd: Bool) -> Int64 {
      if window.isTroubled { return window.canSettle && !isSeekingEnd ? retryAtNs : .max }
      var next = window.isEmpty ? leadership.heartbeatNs(sentNs: lastSentNs) : .max
      if let queuedSinceNs, window.hasRoom, resignIndex == nil {
        next = min(next, mustSend ? .min : queuedSinceNs + ReplicatedLog.lingerNs)
      }
      return next
    }
  }

  /// Takes what the loop has submitted and asked for.
  func takeRequests(_ nowNs: Int64) {
    let wasAsked = syncIsWanted.exchange(false, ordering: .sequentiallyConsistent)
    var buffers: [RecordBuffer] = []
    var notes: [CheckpointNote] = []
    var resignation: String?
    var mustSync = wasAsked
    shared.withLock { shared in
      swap(&buffers, &shared.queue)
      swap(&notes, &shared.notes)
      resignation = shared.resignation
      mustSync = mustSync || shared.mustSync
      shared.mustSync = false
      if shared.isSeizing {
        shared.isSeizing = false
        leadership.invite(nowNs: nowNs)
      }
      isPaused = shared.folded.bytes > settings.waitingBytesMax
    }
    guard let lead else { return }
    for buffer in buffers {
      lead.frames.append(buffer)
      lead.buffers.append((buffer.lastSequence, buffer.byteCount))
    }
    if !buffers.isEmpty, lead.queuedSinceNs == nil { lead.queuedSinceNs = nowNs }
    if mustSync { lead.mustSend = true }
    if let resignation { lead.resignation = resignation }
    lead.notes += notes
    if isStopping.load(ordering: .sequentiallyConsistent) {
      lead.mustSend = true
      if lead.resignation == nil { lead.resignation = "" }
    }
    shared.withLock { shared in
      shared.counters.batches += buffers.count
      for buffer in buffers {
        shared.counters.bytes += buffer.byteCount
        shared.pool.recycle(buffer)
      }
    }
  }

  /// Makes entries while there is room, and sends them; asks for the end when something went wrong.
  func goOnLeading(_ nowNs: Int64) {
    guard let lead else { return }
    if lead.window.canSettle, nowNs >= lead.retryAtNs { return intake.seekEnd(nowNs: nowNs) }
    if nowNs >= lead.nextOwnNoteNs {
      lead.nextOwnNoteNs = nowNs + settings.leadership.noteNs
      lead.notes.append(shared.withLock { $0.status.checkpoint })
    }
    makeEntries(lead, nowNs)
    let hadSent = lead.window.pending.last?.firstSentNs != nil
    lead.window.send(behind: fold.position.streamSequence, nowNs: nowNs, append)
    if !hadSent, !lead.window.isEmpty { lead.lastSentNs = nowNs }
    truncateIfDue(nowNs)
    let isHalfFull = intake.streamBytes >= settings.streamBytesMax / 2
    if spaceIsLow.exchange(isHalfFull, ordering: .acquiringAndReleasing) != isHalfFull { hasNews = true }
  }

  private func makeEntries(_ lead: Lead, _ nowNs: Int64) {
    let serviceMs = surroundings.serviceMs()
    while lead.window.hasRoom, lead.resignIndex == nil {
      if isSendDue(lead, nowNs) {
        let roomBytes = stream.entryBytesMax - Entry.headerBytes
        let body = lead.frames.takeBody(bytesMax: min(Entry.bodyBytesMax, roomBytes))
        lead.window.add {
          $0.records(body.bytes, endedRecords: body.endedRecords, goesOn: body.goesOn, serviceMs: serviceMs)
        }
        if lead.frames.isEmpty {
          lead.mustSend = false
          lead.queuedSinceNs = nil
        }
      } else if let note = lead.takeNote() {
        lead.window.add { $0.checkpointed(note, serviceMs: serviceMs) }
      } else if let node = lead.resignation, lead.window.isEmpty, lead.frames.isEmpty {
        lead.resignIndex = lead.window.writer.nextIndex
        lead.window.add { $0.resign(to: node, serviceMs: serviceMs) }
      } else if lead.window.isEmpty, nowNs >= leadership.heartbeatNs(sentNs: lead.lastSentNs) {
        lead.window.add { $0.heartbeat(serviceMs: serviceMs) }
      } else {
        break
      }
    }
  }

  private func isSendDue(_ lead: Lead, _ nowNs: Int64) -> Bool {
    guard let since = lead.queuedSinceNs, !lead.frames.isEmpty else { return false }
    return lead.mustSend || lead.frames.count >= Entry.bodyBytesMax || nowNs - since >= Self.lingerNs
  }

  // MARK: Outcomes

  func tookOfLead(_ outcome: AppendOutcome, of call: StreamCall, _ nowNs: Int64) {
    guard let lead, lead.window.take(outcome, of: call) else { return }
    if outcome == .full {
      spaceIsLow.store(true, ordering: .releasing)
      lead.retryAtNs = nowNs + 5 * leadership.retryNs
    } else if outcome == .unknown {
      lead.retryAtNs = nowNs + leadership.retryNs / 10
    }
    // Each fold of an own entry takes it out of the window.
    while !isFinished, let stored = lead.window.nextStored {
      let before = lead.window.pending.count
      fold(stored.message, at: stored.expecting + 1, nowNs, isLive: false)
      if lead.window.pending.count == before { break }
    }
  }

  /// The fold has this node's entries up to `index`.
  func committed(through index: UInt64, _ nowNs: Int64) {
    guard let lead, let last = lead.window.commit(through: index) else { return }
    if let sentNs = last.firstSentNs {
      extendLease(sentNs: sentNs)
      // What is committed while the lease is good stays shown.
      written.store(max(writtenSequence, last.lastRecord), ordering: .releasing)
      _ = settledSequence
      noteCommit(lead, last, tookNs: nowNs - sentNs)
    }
    if let resigned = lead.resignIndex, index >= resigned {
      leadership.stepDown(nowNs: nowNs)
      if isStopping.load(ordering: .sequentiallyConsistent) {
        self.lead = nil
        leaseEndNs.store(.min, ordering: .releasing)
        shared.withLock { $0.begunEpoch = nil }
        hasNews = true
        isFinished = true
      } else {
        depose("this node has given the leadership away")
      }
    }
  }

  private func noteCommit(_ lead: Lead, _ last: EntryWindow.Pending, tookNs: Int64) {
    var bytes = 0
    while let first = lead.buffers.first, first.lastRecord <= last.lastRecord {
      bytes += first.bytes
      lead.buffers.removeFirst()
    }
    if bytes == 0 { return }
    inFlight.wrappingSubtract(bytes, ordering: .relaxed)
    shared.withLock { shared in
      shared.counters.syncs += 1
      shared.counters.lastSyncNs = tookNs
      shared.counters.maxSyncNs = max(shared.counters.maxSyncNs, tookNs)
      shared.counters.totalSyncNs &+= tookNs
      shared.counters.syncUs.add(tookNs / 1000)
    }
  }

  func extendLease(sentNs: Int64) {
    _ = leaseEndNs.max(leadership.leaseEndNs(sentNs: sentNs), ordering: .acquiringAndReleasing)
  }

  /// The fold stands at the end: what it does not have is sent again.
  func settleTrouble() {
    guard let lead, lead.window.canSettle else { return }
    lead.window.settle()
  }

  private func truncateIfDue(_ nowNs: Int64) {
    guard let lead else { return }
    if let below = truncation.due(leadsSinceNs: lead.sinceNs, nowNs: nowNs) {
      _ = stream.truncate(below: below)
    }
  }
}
