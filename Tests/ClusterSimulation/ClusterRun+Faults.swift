// What goes wrong: with nodes, with the stream, with operators.

import Cluster
import Primitives
import SimulatedDisk
import SimulatedStream

extension ClusterRun {
  private static let nsPerMs: Int64 = 1_000_000

  /// Does one thing, and plans the next.
  func strike() {
    nextFaultNs = world.nowNs + world.draw(200...3_000) * Self.nsPerMs
    if seizesOnly {
      nextFaultNs = world.nowNs + world.draw(20...200) * Self.nsPerMs
      return seize()
    }
    // Rather a node that leads, or believes so.
    let leading = nodes.filter(\.isLeading)
    let all = world.isDrawn(oneIn: 3) || leading.isEmpty ? nodes : leading
    guard let node = all.randomElement(using: &world.random) else { return }
    switch Int.random(in: 0..<16, using: &world.random) {
    case 0, 1, 2:
      node.pausedUntilNs = world.nowNs + world.draw(world.isDrawn(oneIn: 2) ? 3...400 : 100...6_000) * Self.nsPerMs
      count("pauses")
    case 3, 4: kill(node, losesPower: false)
    case 5: kill(node, losesPower: true)
    case 6:
      node.connection?.cut(forNs: world.draw(50...7_000) * Self.nsPerMs)
      count("cuts")
    case 7:
      stream.loseLeader(forNs: world.draw(world.isDrawn(oneIn: 6) ? 100...20_000 : 10...3_000) * Self.nsPerMs)
      count("stream leaders lost")
    case 8...14: seize()
    default: resign(node)
    }
  }

  private func count(_ what: String) { faultsDone[what, default: 0] += 1 }

  private func kill(_ node: SimulatedNode, losesPower: Bool) {
    node.kill(losesPower: losesPower)
    count(losesPower ? "power cuts" : "kills")
    drawClock(node)
    world.after(ns: world.draw(10...20_000) * Self.nsPerMs) { [weak self] in self?.start(node) }
  }

  /// A node that follows takes the leadership from one that works.
  private func seize() {
    guard let node = nodes.filter({ !$0.isLeading && $0.isRunning }).randomElement(using: &world.random) else { return }
    endedByForce.insert(truth.epoch)
    // The campaign may come only after another epoch has begun.
    endedByForce.insert(truth.epoch + 1)
    node.shard?.log.seize()
    count("seizes")
    // Often in the middle of a full window: the leader's appends take long just now, and this node's do not.
    guard !world.isDrawn(oneIn: 4) else { return }
    let slow = nodes.filter(\.isLeading).compactMap(\.connection)
    for connection in slow { connection.appendDelayNs = 5_000_000...40_000_000 }
    node.connection?.appendDelayNs = 30_000...200_000
    world.after(ns: 500_000_000) { [weak node] in
      for connection in slow + [node?.connection].compactMap({ $0 }) { connection.appendDelayNs = nil }
    }
  }

  private func resign(_ node: SimulatedNode) {
    guard node.isLeading, let to = nodes.randomElement(using: &world.random) else { return }
    give(node, to: world.isDrawn(oneIn: 3) ? "" : to.name)
    count("resignations")
  }

  private func give(_ node: SimulatedNode, to name: String) {
    guard let shard = node.shard, let engine = shard.engine, let epoch = node.epoch, !shard.isResigning else { return }
    endedByForce.insert(truth.epoch)
    // A good owner makes no turns any more; a bad one's engine goes on, and what it still decides is dropped.
    node.goesOnResigning = world.isDrawn(oneIn: 2)
    truth.resigned(epoch, behind: engine.broker.records.nextSequence - 1)
    shard.resign(to: name)
  }

  /// A leader that is to move gives its place to the preferred node.
  func move(_ node: SimulatedNode) {
    guard let name = node.shard?.log.status.preferredLeader, world.isDrawn(oneIn: 20) else { return }
    give(node, to: name)
    count("moves")
  }

  /// Followers tell the leader how far their checkpoints reach, by a connection that loses some of it.
  func tellCheckpoints() {
    guard world.isDrawn(oneIn: 40), let leader = nodes.filter(\.isLeading).randomElement(using: &world.random) else {
      return
    }
    for node in nodes where node !== leader && node.isRunning {
      guard !world.isDrawn(oneIn: 4), let note = node.shard?.log.status.checkpoint else { continue }
      world.after(ns: world.draw(100_000...500_000_000)) { [weak leader] in leader?.shard?.log.note(note) }
    }
  }

  func stopped(_ node: SimulatedNode) {
    guard let shard = node.shard, case .stopped(_, let text) = shard.state else { return }
    ledger.complain("\(node.name) stopped: \(text)")
  }
}
