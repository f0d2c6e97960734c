// What the log tells of its nodes: which there are, this node's place among them, whether it is ready to lead, and whether
// another one should lead in its place.
//
// Holds: who should lead is the first in the order of the nodes that were heard; it is given the leadership only when it said
// just now that it has been at the end of the log for long, so that nobody waits for it.
// Leaves to others: when the leadership is given away (the owner, one shard at a time), telling the leader (the owner).

import Primitives

extension ReplicatedLog {
  private static let lookEveryNs = 1000 * nsPerMs
  /// An entry comes each half second at least: who has been at the end within this time was there all the time.
  private static let atEndNsMax = 2000 * nsPerMs

  /// Looks at the nodes again, each second and when one was heard.
  func lookAround(_ nowNs: Int64) {
    noteWhetherAtEnd(nowNs)
    guard nowNs >= lookAtNs else { return }
    lookAtNs = nowNs + Self.lookEveryNs
    alive = truncation.nodes(nowNs: nowNs)
    let order = Placement.order(ofShard: settings.shard, nodes: alive.map(\.name) + [settings.node])
    rank = order.firstIndex(of: settings.node) ?? 0
    let preferred = order.first.flatMap { preferredLeader($0, nowNs) }
    let isReady = isReady(nowNs)
    hasNews = true
    shared.withLock { shared in
      shared.status.nodes = alive
      shared.status.preferredLeader = preferred
      shared.status.checkpoint.isReady = isReady
    }
  }

  private func noteWhetherAtEnd(_ nowNs: Int64) {
    if isCurrent, !isPaused, stream.link == .connected, intake.isAtEnd(folded: fold.position.streamSequence) {
      atEndNs = nowNs
      if currentSinceNs == nil { currentSinceNs = nowNs }
    } else if let since = currentSinceNs, nowNs - max(since, atEndNs) > Self.atEndNsMax {
      currentSinceNs = nil
    }
  }

  private func isReady(_ nowNs: Int64) -> Bool {
    guard lead == nil, !leadership.isClockOff, let currentSinceNs, shared.withLock({ $0.mayLead }) else { return false }
    return nowNs - currentSinceNs >= settings.leadership.settledNs
  }

  /// Whether this node leads and that one should.
  private func preferredLeader(_ name: String, _ nowNs: Int64) -> String? {
    guard let lead, name != settings.node, nowNs - lead.sinceNs >= settings.leadership.settledNs,
      let node = alive.first(where: { $0.name == name }), node.isReady, node.heardNs > lead.sinceNs,
      nowNs - node.heardNs <= settings.leadership.wordNsMax
    else { return nil }
    return name
  }
}
