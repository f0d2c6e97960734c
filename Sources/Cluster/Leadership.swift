// Who leads: the log itself is the lease. A leader writes at least every half second; who has seen nothing valid for three
// seconds reads to the end and begins a new epoch there.
//
//   following ──silence──► reading to the end ──the end──► beginning an epoch ──stored──► leading
//       ▲                        │ somebody has written          │ refused                 │ a higher epoch was folded
//       └────────────────────────┴───────────────────────────────┴────────────────────────┘
//
// Holds: an epoch is begun only behind everything that the stream holds, and only when that is silent, or when its leader has
//   resigned. Safety never rests on that: whoever begins an epoch, the fold decides what counts. What rests on time is only that
//   two nodes do not show things at the same time: a leader's lease ends half a second before any other one may begin.
// Leaves to others: reading and appending (ReplicatedLog), the order of the nodes (Placement), clocks (the caller).
//
// A node whose clock is not that of the leader it heard last does not campaign with the others, it waits another silence: with it,
// messages would leave early or late. It does campaign then, since it may be the leader whose clock was wrong.

import Primitives

/// How long things take; the same on all nodes of a cluster.
public struct LeadershipSettings: Sendable {
  /// How long after sending its last committed entry a leader may show things.
  public var leaseNs: Int64 = 2_500_000_000
  /// How long nothing valid must have come before another one campaigns.
  public var silenceNs: Int64 = 3_000_000_000
  /// By how much longer each further node in the order of the shard waits.
  public var rankNs: Int64 = 300_000_000
  /// How long the leader gets after the stream itself was away.
  public var graceNs: Int64 = 1_000_000_000
  /// How long a leader is silent at most.
  public var heartbeatNs: Int64 = 500_000_000
  /// How long a node must have been at the end of the log, and another one must have led, before the one gives the leadership to
  /// the other because it is the preferred one.
  public var settledNs: Int64 = 30_000_000_000
  /// How old the word of a node may be that is given the leadership: one that has died since would leave nobody leading.
  public var wordNsMax: Int64 = 15_000_000_000
  /// How often a leader notes where it is itself, as others do by telling it.
  public var noteNs: Int64 = 60_000_000_000
  /// By how much a node's clock may differ from the leader's.
  public var clockDifferenceMsMax: Int64 = 250
  /// How long after a failed read of the end it is tried again.
  public var retryNs: Int64 = 100_000_000

  /// The defaults.
  public init() {}
}

/// A node's part in leading a log.
public struct Leadership: Sendable {
  /// What the node is.
  public enum Role: Equatable, Sendable {
    case following
    /// Reads to the end, to begin an epoch there.
    case reading
    /// Has sent the beginning of an epoch.
    case beginning
    /// Leads.
    case leading(epoch: UInt64)
  }

  /// What is to be done.
  public enum Action: Equatable, Sendable {
    /// Ask for the last message of the stream and read up to it; then call `reachedEnd` or `failedToRead`.
    case readToEnd
    /// Append the beginning of an epoch behind all that is folded; then call `began` or `failedToBegin`.
    case beginEpoch
  }

  /// What it is now.
  public private(set) var role = Role.following
  /// Whether the clock differs too much from that of the leader heard last.
  public private(set) var isClockOff = false

  private let settings: LeadershipSettings
  /// Since when nothing valid has come, by the boot-time clock.
  private var silentSinceNs: Int64
  /// Whether the last leader has given its place to this node, or to any.
  private var isInvited = false
  /// Whether an operator wants this node to lead whoever leads now, until it does.
  private var isForced = false
  /// Whether the last try to read the end failed.
  private var streamWasAway = false
  private var retryAtNs: Int64 = .min
  /// Whether something valid came while reading.
  private var hasHeard = false

  /// Begins as a follower that has just heard something.
  public init(_ settings: LeadershipSettings = LeadershipSettings(), nowNs: Int64) {
    self.settings = settings
    silentSinceNs = nowNs
  }

  /// When `next` should be asked again if nothing happens; nil while it waits for an answer, and for a leader.
  public func wakeUpNs(rank: Int) -> Int64? { role == .following ? campaignNs(rank: rank) : nil }

  private func campaignNs(rank: Int) -> Int64 {
    if isForced { return retryAtNs }
    let ranked = Int64(rank) &* settings.rankNs
    if isInvited { return max(retryAtNs, silentSinceNs &+ ranked) }
    return max(retryAtNs, silentSinceNs &+ settings.silenceNs &+ ranked &+ (isClockOff ? settings.silenceNs : 0))
  }

  /// What is to be done at `nowNs` by the boot-time clock; nil for nothing. Each action is given once.
  ///
  /// - Parameters:
  ///   - rank: the node's place among those that may lead.
  ///   - mayLead: whether the node has the state to lead with, and a connection to the stream.
  public mutating func next(nowNs: Int64, rank: Int, mayLead: Bool) -> Action? {
    guard role == .following, mayLead, nowNs >= campaignNs(rank: rank) else { return nil }
    role = .reading
    hasHeard = false
    return .readToEnd
  }

  // MARK: What happens

  /// A valid entry was folded that is not the beginning of this node's own epoch.
  ///
  /// - Parameter differenceMs: service time of the entry less that of this node, if it has just been written.
  public mutating func heard(
    _ entry: Entry, _ content: EntryContent, node: String, nowNs: Int64, differenceMs: Int64?
  ) {
    if case .leading(let epoch) = role {
      guard entry.epoch > epoch else { return }
      role = .following
    }
    // Its own epoch may have been stored while the answer was lost; `began` says so. Anything else is another leader's.
    if role == .beginning { role = .following }
    hasHeard = true
    silentSinceNs = nowNs
    isInvited = false
    if let differenceMs { isClockOff = abs(differenceMs) > settings.clockDifferenceMsMax }
    if case .resigned(let to) = content { isInvited = to.isEmpty || to == node }
  }

  /// The fold has come to what was the end of the stream. Gives `beginEpoch` if nobody has written meanwhile.
  public mutating func reachedEnd(nowNs: Int64) -> Action? {
    guard role == .reading else { return nil }
    if streamWasAway {
      // The leader could not write either: it gets a moment to go on.
      streamWasAway = false
      isInvited = false
      silentSinceNs = nowNs &- settings.silenceNs &+ settings.graceNs
      role = .following
      return nil
    }
    if hasHeard, !isInvited, !isForced {
      role = .following
      return nil
    }
    role = .beginning
    return .beginEpoch
  }

  /// The end could not be found out, or not be reached.
  public mutating func failedToRead(nowNs: Int64) {
    guard role == .reading else { return }
    role = .following
    streamWasAway = true
    retryAtNs = nowNs &+ settings.retryNs
  }

  /// This node's epoch was stored, or folded: it leads, unless a higher epoch has been folded.
  public mutating func began(epoch: UInt64) {
    role = .leading(epoch: epoch)
    isInvited = false
    isForced = false
    retryAtNs = .min
  }

  /// The beginning of the epoch was not stored behind what was folded. When it is not known whether it was, the end is read again
  /// soon: it tells.
  public mutating func failedToBegin(isUnknown: Bool, nowNs: Int64) {
    guard role == .beginning else { return }
    role = .following
    isInvited = false
    if isUnknown {
      retryAtNs = nowNs &+ settings.retryNs
    } else {
      // Somebody is alive.
      silentSinceNs = nowNs
    }
  }

  /// The stream has never held anything: nobody is waited for who could lead.
  public mutating func foundNobody() { if role == .following { isInvited = true } }

  /// This node is to campaign at once and until it leads, whoever leads now.
  public mutating func invite(nowNs: Int64) {
    guard role == .following else { return }
    isForced = true
    retryAtNs = nowNs
  }

  /// This node leads no more: it has resigned, or stopped.
  public mutating func stepDown(nowNs: Int64) {
    role = .following
    isInvited = false
    silentSinceNs = nowNs
  }

  // MARK: A leader's times

  /// Until when a leader may show things, that sent its last committed entry first at `sentNs`.
  public func leaseEndNs(sentNs: Int64) -> Int64 { sentNs &+ settings.leaseNs }
  /// How soon a failed try is repeated.
  public var retryNs: Int64 { settings.retryNs }
  /// When a leader that sent something at `sentNs` must send a heartbeat.
  public func heartbeatNs(sentNs: Int64) -> Int64 { sentNs &+ settings.heartbeatNs }
}
