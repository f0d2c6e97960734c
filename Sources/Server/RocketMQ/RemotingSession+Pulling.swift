// PULL_MESSAGE, held while there is nothing, and VIEW_MESSAGE_BY_ID.
//
// Holds: a held pull costs nothing until its topic grows, its time is up, or what it waits for has come from disk. What a pull shows
// is held back until the newest message of its topic is durable.

import Broker
import Primitives
import RemotingProtocol
import RocketMQFrontEnd
import TopicLog

/// A pull that waits.
struct HeldPull {
  let request: RequestReference
  var state: PullState
  let untilMs: UnixMs
  /// It waits for a part of the topic that is being read, rather than for the next message.
  var waitsForDisk = false
}

extension RemotingSession {
  func pull(_ header: RemotingHeader) throws(WireStop) {
    let request = try read { () throws(RemotingError) in try PullRequest(header) }
    try frontEnd.requireGroupName(request.group)
    let tags = try frontEnd.tags(request)
    let topic = try frontEnd.topicOnUse(request.topic)
    let queue = try frontEnd.queue(request.queueID, of: request.topic)
    if request.commits, let offset = UInt64(exactly: request.commitOffset) {
      try commit(offset, ofQueue: queue, in: topic, group: request.group)
    }
    let offsets = topic.log.offsets(ofQueue: queue)
    guard let wanted = UInt64(exactly: request.queueOffset), offsets.lowerBound...offsets.upperBound ~= wanted else {
      let next = min(max(UInt64(max(request.queueOffset, 0)), offsets.lowerBound), offsets.upperBound)
      return answerPull(RequestReference(header), .pullOffsetMoved, topic, queue, next: next)
    }
    let messagesMax = Int(min(max(request.messagesMax, 1), RemotingLimits.pullMessagesMax))
    let waitMs = request.waits ? min(max(request.waitMs, 0), RemotingLimits.holdMsMax) : 0
    var pull = HeldPull(
      request: RequestReference(header),
      state: PullState(
        topic: topic, cursor: cursor(topic, queue, wanted), messagesMax: messagesMax, tags: tags),
      untilMs: broker.nowMs + waitMs)
    if isDeliveryPaused || !goOn(&pull) { try hold(pull) }
  }

  private func hold(_ pull: HeldPull) throws(WireStop) {
    guard canHoldMore else {
      throw .refused(.systemBusy, "\(held.count) pulls of this connection wait, and no more may")
    }
    // Its answer is registered when it is written.
    held.append(pull)
    if !pull.waitsForDisk { watch(pull.state.topic) }
  }

  private func watch(_ topic: Topic) {
    guard watched.updateValue(topic, forKey: topic.number) == nil else { return }
    broker.watch(topic, for: key)
  }

  func grown(_ topic: Topic) {
    watched[topic.number] = nil
    goOnWithPulls { $0.state.topic === topic }
  }

  /// Where the last pull of this queue ended, if this one goes on there: so the records before are not walked through again.
  private func cursor(_ topic: Topic, _ queue: UInt8, _ offset: UInt64) -> QueueCursor {
    if let last = lastRead[QueueKey(topic: topic.number, queue: queue)], last.offset == offset { return last }
    return QueueCursor(queue: queue, offset: offset)
  }

  /// Answers a pull if there is something to say now.
  private func goOn(_ pull: inout HeldPull) -> Bool {
    let topic = pull.state.topic
    guard topic.isAlive else {
      putOff(.topicNotExist, "topic '\(topic.name)' was deleted", pull.request)
      return true
    }
    pull.waitsForDisk = false
    services.remoting.body.removeAll()
    let (count, end) = frontEnd.read(&pull.state, to: &services.remoting.body)
    let queue = pull.state.cursor.queue
    if count > 0 {
      noteRead(pull.state)
      answerPull(pull.request, .success, topic, queue, next: pull.state.cursor.offset)
      return true
    }
    switch end {
    case .tired: answerPull(pull.request, .pullRetryImmediately, topic, queue, next: pull.state.cursor.offset)
    case .loading:
      pull.waitsForDisk = true
      broker.waitForLoad(of: topic, key)
      return false
    case .enough:
      guard broker.nowMs >= pull.untilMs else { return false }
      answerPull(pull.request, .pullNotFound, topic, queue, next: pull.state.cursor.offset)
    }
    return true
  }

  private func noteRead(_ state: PullState) {
    if lastRead.count >= RemotingLimits.heldMax { lastRead.removeAll(keepingCapacity: true) }
    lastRead[QueueKey(topic: state.topic.number, queue: state.cursor.queue)] = state.cursor
  }

  /// Writes the answer, with what was read as its body.
  private func answerPull(
    _ request: RequestReference, _ code: ResponseCode, _ topic: Topic, _ queue: UInt8, next: UInt64
  ) {
    output.hold(until: Gate(topic.restsOn))
    let offsets = topic.log.offsets(ofQueue: queue)
    var frame = RemotingFrameWriter(response: code, to: request, &out)
    frame.field("maxOffset", Int64(offsets.upperBound), &out)
    frame.field("minOffset", Int64(offsets.lowerBound), &out)
    frame.field("nextBeginOffset", Int64(next), &out)
    frame.field("suggestWhichBrokerId", 0, &out)
    frame.endHeader(&out)
    if code == .success { out.append(services.remoting.body.readable) }
    frame.end(&out)
    services.remoting.body.shrink()
  }

  /// Looks again at the pulls of which this holds.
  func goOnWithPulls(where isConcerned: (HeldPull) -> Bool) {
    guard !held.isEmpty else { return }
    let pulls = held
    held.removeAll(keepingCapacity: true)
    for var pull in pulls {
      if isConcerned(pull), !isDeliveryPaused, answersSoFarAreSent {
        // A pull that is answered was not registered when its request came.
        let mark = output.mark
        let end = output.end
        output.register(RemotingToken(pull.request).bits)
        let isDone = goOn(&pull)
        if output.end == end { output.takeBack(to: mark) }
        if isDone { continue }
      }
      held.append(pull)
      if !pull.waitsForDisk { watch(pull.state.topic) }
    }
  }

  /// Whether more may be written without asking whether the client reads it.
  var answersSoFarAreSent: Bool { output.unsentBytes <= settings.unsentBytesMax / 2 }

  // MARK: One message

  func view(_ header: RemotingHeader) throws(WireStop) {
    let place = MessagePlace(physicalOffset: try integer(header, "offset"))
    services.remoting.body.removeAll()
    guard try frontEnd.view(place, connection: key, to: &services.remoting.body) else {
      throw .refused(.queryNotFound, "there is no message at this offset")
    }
    output.hold(until: .endOfTurn)
    answer(header) { $0.append(services.remoting.body.readable) }
  }
}

/// A queue of a topic.
struct QueueKey: Hashable {
  let topic: UInt32
  let queue: UInt8
}
