// What may have become of one message id, as far as its owner can know from the wire.
//
// Holds: one client owns an id and has at most one request about it unanswered. `branches` are all states that every reply and
// delivery so far allows; a request that is not answered may have been done or not. No branch left: the server has lied.
// Leaves to others: order, offsets, groups (WireLedger).

import Primitives

/// What a client asks about its message.
enum MessageRequest: Hashable {
  /// Due in `dueMs`: a range where the server knows better than the client when the delay began.
  case schedule(version: Int, dueMs: ClosedRange<UnixMs>, ifExists: String)
  case reschedule(dueMs: ClosedRange<UnixMs>)
  case cancel
  case get
  /// Without delay.
  case publish(version: Int)
}

/// The possible histories of an id.
struct History {
  enum State: Hashable {
    case none
    case pending(version: Int, dueMs: ClosedRange<UnixMs>)
    case released(version: Int, dueMs: ClosedRange<UnixMs>)
    case cancelled
  }

  private struct Branch: Hashable {
    var state: State
    /// What the request that is not answered was done with; nil when it was not done.
    var reply: String?
  }

  private var branches: Set<Branch> = [Branch(state: .none)]
  private var request: MessageRequest?
  /// Whether the last request that gave it a time is known to have been done before that time. A message that was due already
  /// may be shown with another time: it leaves as early as order allows, and that is the time that a start finds on disk.
  private var wasAcceptedInTime = false

  /// The owner asks.
  mutating func ask(_ request: MessageRequest, nowMs: UnixMs) {
    self.request = request
    switch request {
    case .schedule, .reschedule: wasAcceptedInTime = false
    case .cancel, .get, .publish: break
    }
    close(nowMs)
  }

  /// What the request makes of a state, and the reply to it.
  private func perform(_ request: MessageRequest, _ state: State) -> (State, String) {
    switch (request, state) {
    case (.schedule(let version, let dueMs, let ifExists), .pending):
      switch ifExists {
      case "replace": (.pending(version: version, dueMs: dueMs), "replaced")
      case "reject": (state, "exists")
      default: (state, "kept")
      }
    case (.schedule(_, _, let ifExists), .released): (state, ifExists == "reject" ? "exists" : "released")
    case (.schedule(let version, let dueMs, _), .none), (.schedule(let version, let dueMs, _), .cancelled):
      (.pending(version: version, dueMs: dueMs), "scheduled")
    case (.publish(let version), .none): (.released(version: version, dueMs: .min ... .max), "published")
    case (.publish, _): (state, "published")
    case (.reschedule(let dueMs), .pending(let version, _)):
      (.pending(version: version, dueMs: dueMs), "rescheduled")
    case (.reschedule, .released), (.cancel, .released), (.get, .released): (state, "released")
    case (.cancel, .pending), (.cancel, .cancelled), (.get, .cancelled): (.cancelled, "cancelled")
    case (.get, .pending): (state, "pending")
    case (.reschedule, .none), (.reschedule, .cancelled), (.cancel, .none), (.get, .none): (state, "unknown")
    }
  }

  /// Adds what may have happened by now: the request may have been done, and what is due may have been released.
  private mutating func close(_ nowMs: UnixMs) {
    var open = Array(branches)
    while let branch = open.popLast() {
      var next: [Branch] = []
      if case .pending(let version, let dueMs) = branch.state, dueMs.lowerBound <= nowMs {
        next.append(Branch(state: .released(version: version, dueMs: dueMs), reply: branch.reply))
      }
      if let request, branch.reply == nil {
        let (state, reply) = perform(request, branch.state)
        next.append(Branch(state: state, reply: reply))
      }
      for branch in next where branches.insert(branch).inserted { open.append(branch) }
    }
  }

  /// The request is answered. False when no history allows this reply.
  ///
  /// - Parameters:
  ///   - dueMs: what the reply names as the time of delivery.
  ///   - version: the body that the reply shows.
  mutating func answer(_ reply: String, dueMs: UnixMs?, version: Int?, nowMs: UnixMs) -> Bool {
    close(nowMs)
    if let dueMs, dueMs > nowMs { wasAcceptedInTime = true }
    var left: Set<Branch> = []
    for branch in branches where branch.reply == reply {
      let dueMs = wasAcceptedInTime ? dueMs : nil
      if let state = Self.narrowed(branch.state, dueMs: dueMs, version: version) { left.insert(Branch(state: state)) }
    }
    branches = left
    request = nil
    return !left.isEmpty
  }

  private static func narrowed(_ state: State, dueMs: UnixMs?, version: Int?) -> State? {
    switch state {
    case .pending(let own, let range):
      if let version, version != own { return nil }
      guard let dueMs else { return state }
      return range.contains(dueMs) ? .pending(version: own, dueMs: dueMs...dueMs) : nil
    case .released(let own, let range):
      if let version, version != own { return nil }
      guard let dueMs else { return state }
      return range.contains(dueMs) ? .released(version: own, dueMs: dueMs...dueMs) : nil
    case .none, .cancelled: return state
    }
  }

  /// The request was refused without being done. False when that cannot be.
  mutating func refuse(nowMs: UnixMs) -> Bool {
    branches = branches.filter { $0.reply == nil }
    request = nil
    return !branches.isEmpty
  }

  /// Nobody will ever say what became of the request.
  mutating func giveUp(nowMs: UnixMs) {
    close(nowMs)
    branches = Set(branches.map { Branch(state: $0.state) })
    request = nil
  }

  /// A delivery shows that this version was released. False when no history allows that.
  mutating func see(version: Int, dueMs: UnixMs, nowMs: UnixMs) -> Bool {
    close(nowMs)
    let wasAcceptedInTime = wasAcceptedInTime
    branches = branches.filter {
      guard case .released(let own, let range) = $0.state else { return false }
      return own == version && (!wasAcceptedInTime || range.contains(dueMs))
    }
    return !branches.isEmpty
  }

  /// At the end, when everything that was pending is released: the version in the log, or nil for none. False when no history
  /// ends like this.
  func endsWith(_ version: Int?) -> Bool {
    branches.contains { branch in
      switch branch.state {
      case .none, .cancelled: version == nil
      case .pending(let own, _), .released(let own, _): version == own
      }
    }
  }

  /// For people.
  var shown: String { branches.map { "\($0.state)" }.sorted().joined(separator: " or ") }
}
