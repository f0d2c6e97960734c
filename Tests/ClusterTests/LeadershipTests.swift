// Leading alone: times in, actions out, no stream.

import Cluster
import Primitives
import SeededRandom
import TestSeeds
import Testing

@Suite("leadership") struct LeadershipTests {
  private static let ms: Int64 = 1_000_000

  /// An entry of somebody else's.
  private func entry(_ epoch: UInt64, _ kind: Entry.Kind = .heartbeat) -> Entry {
    Entry(kind, epoch: epoch, index: 1, chain: 0, serviceMs: 0, firstRecord: 1)
  }

  private func next(_ node: inout Leadership, atMs: Int64, rank: Int = 0) -> Leadership.Action? {
    node.next(nowNs: atMs * Self.ms, rank: rank, mayLead: true)
  }

  private func hear(
    _ node: inout Leadership, _ epoch: UInt64, _ content: EntryContent = .heartbeat, atMs: Int64,
    differenceMs: Int64? = 0
  ) {
    node.heard(entry(epoch), content, node: "me", nowNs: atMs * Self.ms, differenceMs: differenceMs)
  }

  @Test("campaigns after three seconds of silence, each further node 0.3 s later", arguments: 0..<4)
  func silence(rank: Int) {
    var node = Leadership(nowNs: 0)
    hear(&node, 1, atMs: 1000)
    let dueMs = 4000 + Int64(rank) * 300
    #expect(node.wakeUpNs(rank: rank) == dueMs * Self.ms)
    #expect(next(&node, atMs: dueMs - 1, rank: rank) == nil)
    #expect(node.next(nowNs: dueMs * Self.ms, rank: rank, mayLead: false) == nil)
    #expect(next(&node, atMs: dueMs, rank: rank) == .readToEnd)
    #expect(next(&node, atMs: dueMs, rank: rank) == nil)
    #expect(node.reachedEnd(nowNs: dueMs * Self.ms) == .beginEpoch)
    node.began(epoch: 2)
    #expect(node.role == .leading(epoch: 2) && next(&node, atMs: 1_000_000) == nil)
  }

  @Test("gives up when the way to the end shows that somebody writes")
  func heardWhileReading() {
    var node = Leadership(nowNs: 0)
    #expect(next(&node, atMs: 3000) == .readToEnd)
    hear(&node, 1, atMs: 3001, differenceMs: nil)
    #expect(node.reachedEnd(nowNs: 3002 * Self.ms) == nil && node.role == .following)
    #expect(next(&node, atMs: 6000) == nil && next(&node, atMs: 6001) == .readToEnd)
  }

  @Test("starts again when its epoch was refused, and soon when it is not known")
  func refused() {
    for isUnknown in [false, true] {
      var node = Leadership(nowNs: 0)
      #expect(next(&node, atMs: 3000) == .readToEnd)
      #expect(node.reachedEnd(nowNs: 3000 * Self.ms) == .beginEpoch)
      node.failedToBegin(isUnknown: isUnknown, nowNs: 3010 * Self.ms)
      let againMs: Int64 = isUnknown ? 3110 : 6010
      #expect(next(&node, atMs: againMs - 1) == nil && next(&node, atMs: againMs) == .readToEnd)
    }
  }

  @Test("leaves the leader a second when the stream itself was away")
  func grace() {
    var node = Leadership(nowNs: 0)
    #expect(next(&node, atMs: 3000) == .readToEnd)
    node.failedToRead(nowNs: 4000 * Self.ms)
    #expect(next(&node, atMs: 4099) == nil && next(&node, atMs: 4100) == .readToEnd)
    #expect(node.reachedEnd(nowNs: 5000 * Self.ms) == nil)
    #expect(next(&node, atMs: 5999) == nil && next(&node, atMs: 6000) == .readToEnd)
    #expect(node.reachedEnd(nowNs: 6000 * Self.ms) == .beginEpoch)
  }

  @Test("takes at once what the leader gives to it, and not what it gives to another")
  func resigned() {
    var node = Leadership(nowNs: 0)
    hear(&node, 1, .resigned(to: "other"), atMs: 100)
    #expect(next(&node, atMs: 3099) == nil)
    hear(&node, 1, .resigned(to: "me"), atMs: 200)
    #expect(next(&node, atMs: 200) == .readToEnd && node.reachedEnd(nowNs: 200 * Self.ms) == .beginEpoch)
    node.failedToBegin(isUnknown: false, nowNs: 210 * Self.ms)
    hear(&node, 1, .resigned(to: ""), atMs: 300)
    #expect(next(&node, atMs: 599, rank: 1) == nil && next(&node, atMs: 600, rank: 1) == .readToEnd)
  }

  @Test("a node whose clock is off waits for another silence, and hears when it is not off any more")
  func clock() {
    var node = Leadership(nowNs: 0)
    hear(&node, 1, atMs: 0, differenceMs: -251)
    #expect(node.isClockOff && next(&node, atMs: 5999) == nil && next(&node, atMs: 6000) == .readToEnd)
    node.failedToRead(nowNs: 6000 * Self.ms)
    hear(&node, 1, atMs: 7000, differenceMs: 250)
    #expect(!node.isClockOff)
  }

  @Test("an operator's wish is tried until it leads")
  func seized() {
    var node = Leadership(nowNs: 0)
    node.invite(nowNs: 5 * Self.ms)
    for ms in Int64(5)...8 {
      #expect(next(&node, atMs: ms, rank: 3) == .readToEnd)
      hear(&node, 1, atMs: ms)
      #expect(node.reachedEnd(nowNs: ms * Self.ms) == .beginEpoch)
      node.failedToBegin(isUnknown: false, nowNs: ms * Self.ms)
    }
    node.began(epoch: 2)
    hear(&node, 3, atMs: 20)
    #expect(node.role == .following && next(&node, atMs: 3019) == nil)
  }

  @Test("follows when a higher epoch is folded, and does not hear its own")
  func deposed() {
    var node = Leadership(nowNs: 0)
    node.began(epoch: 5)
    hear(&node, 5, atMs: 10)
    #expect(node.role == .leading(epoch: 5))
    hear(&node, 6, atMs: 20)
    #expect(node.role == .following)
  }

  /// What the whole rests on for what is shown: with one entry as the last word, the leader's lease is over before anybody else
  /// may begin, whatever the times and settings are between these bounds.
  @Test("a lease ends before any other node may begin", arguments: Seeds.some(100))
  func leaseAndSilence(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let settings = LeadershipSettings()
    let sentNs = Int64.random(in: 0...1_000_000_000_000, using: &random)
    let arrivedNs = sentNs + Int64.random(in: 0...5_000_000_000, using: &random)
    let leader = Leadership(nowNs: 0)
    var follower = Leadership(nowNs: 0)
    follower.heard(entry(1), .heartbeat, node: "me", nowNs: arrivedNs, differenceMs: 0)
    let campaignNs = follower.wakeUpNs(rank: .random(in: 0...3, using: &random)) ?? 0
    #expect(campaignNs - leader.leaseEndNs(sentNs: sentNs) >= 500_000_000)
    #expect(leader.heartbeatNs(sentNs: sentNs) < leader.leaseEndNs(sentNs: sentNs) - settings.heartbeatNs)
  }
}

@Suite("placement") struct PlacementTests {
  @Test("does not depend on the order of the names, and keeps the others' when a node goes", arguments: Seeds.some(20))
  func stable(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let nodes = (0..<5).map { "node-\($0)-\(seed)" }
    for shard in 0..<16 {
      let order = Placement.order(ofShard: shard, nodes: nodes)
      #expect(
        order.sorted() == nodes.sorted()
          && Placement.order(ofShard: shard, nodes: nodes.shuffled(using: &random)) == order)
      let gone = nodes[Int.random(in: 0..<5, using: &random)]
      let rest = nodes.filter { $0 != gone }
      #expect(Placement.order(ofShard: shard, nodes: rest) == order.filter { $0 != gone })
    }
  }

  @Test("spreads shards over the nodes")
  func spread() {
    let nodes = ["a", "b", "c"]
    let firsts = (0..<600).map { Placement.order(ofShard: $0, nodes: nodes)[0] }
    for node in nodes { #expect((150...250).contains(firsts.count { $0 == node })) }
  }
}
