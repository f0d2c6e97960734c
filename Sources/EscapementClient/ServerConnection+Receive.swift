// Lines that come in, on the reading thread: replies to their requests, messages to their subscriptions.

extension ServerConnection {
  func receive(_ line: [UInt8], generation: Int) {
    do {
      let json = try RawJSON(text: line)
      let fields = try RawObject(json)
      if fields["event"] != nil { return try receiveEvent(fields, generation) }
      try receiveReply(json, fields, generation)
    } catch {
      // A line that cannot be read might have been anybody's reply: nothing on this connection can be trusted any more.
      let wire = state.withLock { state in
        guard state.generation == generation else { return Wire?.none }
        state.lastComplaint = error.description
        return state.wire
      }
      wire?.shutDown()
    }
  }

  private func receiveEvent(_ fields: RawObject, _ generation: Int) throws(EscapementError) {
    if fields["event"]?.string == "not_leader" { return noteDeposed(NotLeader(fields), generation) }
    // Events of later protocol versions are not ours to judge.
    guard let kind = fields["event"]?.string, ["message", "truncated", "ended"].contains(kind) else { return }
    let number = try fields.int("sub")
    let known = state.withLock { state -> SubscriptionState? in
      guard state.generation == generation else { return nil }
      state.silentPings = 0
      return state.subscriptionsByNumber[number]
    }
    guard let subscription = known else { return }
    let (topic, group) = (subscription.topic, subscription.group)
    switch kind {
    case "message": subscription.buffer.append(try Delivery(fields, topic: topic, group: group, outbox: outbox))
    case "truncated":
      report(
        .truncated(
          topic: topic, group: group, fromOffset: try fields.offset("fromOffset"),
          toOffset: try fields.offset("toOffset")))
    default:
      let reason = fields["reason"]?.string ?? ""
      // First the event, so that whoever sees the sequence end can know why.
      report(.ended(topic: topic, group: group, reason: reason))
      _ = forget(subscription)
    }
  }

  /// The server has stopped leading a shard, and closes the connection.
  private func noteDeposed(_ news: NotLeader, _ generation: Int) {
    let cluster = state.withLock { state -> Weak<Cluster>? in
      guard state.generation == generation else { return nil }
      state.lastComplaint = "\(address) has stopped leading shard \(news.shard)"
      return state.cluster
    }
    cluster?.object?.learn(news)
  }

  private func receiveReply(_ json: RawJSON, _ fields: RawObject, _ generation: Int) throws(EscapementError) {
    guard let isOK = fields["ok"]?.bool else { throw .badReply("a line that is neither reply nor event") }
    let refusal: EscapementError? =
      isOK
      ? nil
      : .refused(
        code: RefusalCode(rawValue: try fields.string("error")), message: fields["message"]?.string ?? "")
    let rid = fields["rid"]?.int
    let number = fields["sub"]?.int
    let (request, cluster) = state.withLock { state -> (PendingRequest?, Weak<Cluster>?) in
      guard state.generation == generation else { return (nil, nil) }
      state.silentPings = 0
      guard let rid else {
        state.lastComplaint = refusal?.description
        return (nil, nil)
      }
      let request = state.pending.removeValue(forKey: rid)
      // Before the next line is read, since that may be the subscription's first message.
      if refusal == nil, let number, let subscription = request?.subscription {
        state.subscriptionsByNumber[number] = subscription
      }
      return (request, state.cluster)
    }
    guard let request else {
      // A subscription nobody waits for any more would hold messages back.
      if refusal == nil, let number { leave(number: number) }
      if case .refused(let code, let message)? = refusal { report(.refusedUnanswered(code: code, message: message)) }
      return
    }
    if case .refused(.notLeader, _)? = refusal, cluster != nil {
      request.caller?.resume(throwing: NotLeader(fields))
      return
    }
    if let refusal { return fail(request, refusal) }
    request.caller?.resume(returning: Reply(json: json, fields: fields, wasRepeated: request.sends > 1))
  }
}
