// The end of a run: nothing fails any more, all time passes, and everything is judged.

import Broker
import Cluster
import Primitives
import SimulatedStream

extension ClusterRun {
  /// Heals everything, waits until a leader has released all, and judges.
  func reckon() {
    stream.faults = StreamFaults()
    for node in nodes {
      node.pausedUntilNs = 0
      start(node)
    }
    guard wait("a leader", seconds: 60, until: { leader != nil }) else { return }
    // Also what a node whose clock was ahead accepted late is due by then.
    let dueNs = world.nowNs + 13_000_000_000
    guard
      wait(
        "the last release", seconds: 120,
        until: {
          guard world.nowNs > dueNs, let broker = leader?.engine?.broker else { return false }
          return broker.gauges.pending == 0 && broker.gauges.dueNow == 0
        })
    else { return }
    guard
      wait(
        "followers at the end", seconds: 60,
        until: {
          guard let leader, let last = leader.engine?.broker.records.lastSequence else { return false }
          return leader.waiting.isEmpty
            && nodes.allSatisfy { $0.engine.map { $0.broker.records.lastSequence == last } ?? false }
        }, commands: false)
    else { return }
    guard let leader, let engine = leader.engine else { return }
    let nowMs = engine.broker.nowMs
    let state = engine.broker.digest(asOf: nowMs)
    for node in nodes where node !== leader && node.engine?.broker.digest(asOf: nowMs) != state {
      ledger.complain("\(node.name) ends with another state than \(leader.name)")
    }
    truth.judgeFoldOfFold()
    let logs = Self.topics.map { read($0, leader) }
    for (topic, log) in logs.enumerated() { ledger.judge(topic: topic, log) }
    engine.broker.checkInvariants()
  }

  /// The node that leads by the log, if it knows.
  private var leader: SimulatedNode? {
    nodes.first { $0.epoch == truth.epoch && $0.shard?.log.mayShow == true }
  }

  private func wait(_ what: String, seconds: Int64, until isDone: () -> Bool, commands: Bool = false) -> Bool {
    let endNs = world.nowNs + seconds * 1_000_000_000
    while !isDone() {
      if world.nowNs > endNs {
        ledger.complain("\(what) did not come within \(seconds) s")
        return false
      }
      if !complaints.isEmpty { return false }
      world.advance(to: world.nowNs + world.draw(50_000...5_000_000))
      tellCheckpoints()
      for node in nodes where node.shard != nil {
        turnLog(node)
        turnLoop(node, commands: commands)
        tell(node)
        while node.runLane(0) || node.runLane(1) || node.runLane(2) {}
      }
    }
    return true
  }

  /// The whole log of a topic.
  private func read(_ name: String, _ leader: SimulatedNode) -> [ClusterLedger.Read] {
    guard let broker = leader.engine?.broker, let topic = broker.findTopic(bytes(name)) else { return [] }
    var options = ConsumerOptions()
    options.from = .earliest
    guard
      let consumer = try? broker.subscribe(topic: bytes(name), group: nil, sub: 1, connection: 9, options).value
    else {
      ledger.complain("\(name) cannot be read")
      return []
    }
    var log: [ClusterLedger.Read] = []
    reading = { delivery in
      guard delivery.consumer === consumer else { return false }
      let record = delivery.record
      log.append(
        ClusterLedger.Read(
          id: String(decoding: record.id, as: UTF8.self), dueMs: record.dueMs, releasedMs: record.stampMs))
      return true
    }
    _ = wait("all of \(name)", seconds: 60, until: { UInt64(log.count) >= topic.log.nextOffset })
    reading = nil
    broker.remove(consumer)
    return log
  }
}
