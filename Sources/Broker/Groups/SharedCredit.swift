// One bound on what several consumers have in flight together, besides each one's own credit.
//
// Holds: `inFlight` is the sum of what its members have in flight; when there is room again, the members behind the one that was given
// something last have their turn before it, so that none takes it all.
// Leaves to others: who is served when (Groups+Dispatch).

/// A credit that consumers share, whichever queues they read.
public final class SharedCredit {
  /// The most messages that may be in flight at a time.
  @exclusivity(unchecked) private(set) var limit: Int
  @exclusivity(unchecked) private(set) var inFlight = 0
  private var members: [Consumer] = []
  /// Who was given something last.
  @exclusivity(unchecked) private var last: UInt32?

  /// A credit that nobody shares yet.
  public init(limit: Int) { self.limit = limit }

  var hasRoom: Bool { inFlight < limit }

  func setLimit(_ limit: Int) { self.limit = limit }

  func add(_ consumer: Consumer) {
    members.append(consumer)
    inFlight += consumer.inFlight
  }

  /// The members, beginning behind the one that was given something last.
  var membersInTurn: [Consumer] {
    guard let place = members.firstIndex(where: { $0.number == last }) else { return members }
    return Array(members[(place + 1)...] + members[...place])
  }

  func remove(_ consumer: Consumer) {
    members.removeAll { $0 === consumer }
    inFlight -= consumer.inFlight
  }

  @inline(__always) func noteGiven(to consumer: Consumer) {
    inFlight += 1
    last = consumer.number
  }

  /// Counts messages in flight less; gives whether that made room.
  @inline(__always) func noteTakenBack(_ count: Int = 1) -> Bool {
    let hadRoom = hasRoom
    inFlight -= count
    return !hadRoom && hasRoom
  }
}

extension Broker {
  /// Changes how much a consumer may have in flight; what it has already stays with it.
  public func setCredit(_ consumer: Consumer, _ credit: Int) {
    consumer.setCredit(credit)
    if let group = consumer.group { groups.markDirty(group) }
  }

  /// Bounds a consumer by a credit that it shares with others, besides its own credit, which stays as it is. O(1).
  public func bind(_ consumer: Consumer, by shared: SharedCredit) {
    guard isPresent(consumer), consumer.sharedCredit == nil else { return }
    consumer.share(shared)
  }

  /// Changes what the consumers that share a credit may have in flight together.
  public func setLimit(_ shared: SharedCredit, _ limit: Int) {
    shared.setLimit(limit)
    groups.markDirty(membersOf: shared)
  }
}

extension Groups {
  func markDirty(membersOf shared: SharedCredit) {
    for member in shared.membersInTurn { if let group = member.group { markDirty(group) } }
  }

  /// A delivery is not in flight any more.
  @inline(__always) func noteTakenBack(from consumer: UInt32) {
    guard let consumer = self[consumer: consumer], let freed = consumer.noteTakenBack() else { return }
    markDirty(membersOf: freed)
  }
}
