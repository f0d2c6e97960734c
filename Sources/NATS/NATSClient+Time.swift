// What happens because time goes by.

extension NATSClient {
  /// Takes the time and does what it asks for. Events come from `next`.
  ///
  /// - Parameter nowMs: of a clock that never goes back.
  public func turn(nowMs: Int64) {
    self.nowMs = nowMs
    readsRemaining = Self.readsPerTurn
    switch phase {
    case .resting(let untilMs): if nowMs >= untilMs { connect() }
    case .connected where nowMs >= nextPingMs:
      link?.output.appendPing()
      pingsMs.append(nowMs)
      nextPingMs = nowMs &+ settings.pingEveryMs
    default: break
    }
  }

  /// Sends what there is to be sent.
  public func flush() { link?.flush() }

  /// When `turn` is to be called at the latest; `Int64.max` for no limit.
  public var nextTurnMs: Int64 {
    if !notes.isEmpty || link?.wantsToSend == true || (readsRemaining == 0 && link != nil) { return nowMs }
    switch phase {
    case .resting(let untilMs): return max(untilMs, nowMs)
    case .greeting, .introducing: return connectedByMs
    case .connected:
      var next = min(nextPingMs, leaveByMs ?? .max)
      if let oldestMs = pingsMs.first { next = min(next, oldestMs &+ settings.pongTimeoutMs) }
      for call in calls { next = min(next, call.deadlineMs) }
      return next
    }
  }

  /// Gives up what waits too long, now that all that has come was looked at. Whether there was something.
  func giveUpWhatIsLate() -> Bool {
    switch phase {
    case .resting: return false
    case .greeting, .introducing:
      guard nowMs >= connectedByMs else { return false }
      disconnect("no answer in \(settings.connectTimeoutMs) ms")
      return true
    case .connected: break
    }
    if let oldestMs = pingsMs.first, nowMs &- oldestMs >= settings.pongTimeoutMs {
      disconnect("no answer for \(settings.pongTimeoutMs) ms")
      return true
    }
    let countBefore = notes.count
    for call in calls where nowMs >= call.deadlineMs { notes.append(.unanswered(NATSCall(number: call.number))) }
    calls.removeAll { nowMs >= $0.deadlineMs }
    if let leaveByMs, calls.isEmpty || nowMs >= leaveByMs {
      disconnect("the server is about to end")
    }
    return notes.count > countBefore
  }
}
