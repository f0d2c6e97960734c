// One request of the line protocol, as a node sees it: whose shard it is about, and the operations that the node does itself.
//
// Leaves to others: reading it, and sending its answer (the relays of the line protocol and of HTTP).

import Access
import LineProtocol
import Primitives
import Server

/// The request that the front's reader has read.
struct NodeRequest {
  let front: Front
  /// Who asks; nil for somebody who has not said so.
  let identity: Identity?

  private var reader: RequestReader { front.reader }

  static let stranger = Refusal(code: .unauthenticated, message: "say 'hello' with a good 'token' first")

  // MARK: The shard

  /// The shard that the request is about.
  ///
  /// - Parameter transactionShard: where the connection's RocketMQ transactions are; changes with half messages.
  func shard(of operation: UnsafeRawBufferPointer, _ transactionShard: inout Int) throws(Refusal) -> Int {
    if let number = try shardField() { return number }
    if operation.starts(with: "rabbitmq.".utf8) { return "/".withBytes { front.places.shard(ofVirtualHost: $0) } }
    if let topic = try reader.string(.topic) {
      let shard = front.places.shard(ofTopic: topic)
      if operation.elementsEqual("rocketmq.sendHalf".utf8) { transactionShard = shard }
      return shard
    }
    if let number = try reader.integer(.sub) {
      guard let shard = front.places.shard(ofSubscription: number) else {
        throw .invalid(.sub, mustBe: "a number that 'subscribe' gave")
      }
      return shard
    }
    return operation.starts(with: "rocketmq.".utf8) ? transactionShard : 0
  }

  /// The shard that the request names.
  func shardField() throws(Refusal) -> Int? {
    guard let number = try reader.integer(.shard) else { return nil }
    guard number >= 0, number < Int64(front.settings.shards) else {
      throw .invalid(.shard, mustBe: "from 0 to \(front.settings.shards - 1)")
    }
    return Int(number)
  }

  // MARK: Operations of the node

  /// Does one and writes its answer.
  func perform(_ operation: NodeOperation, rid: UnsafeRawBufferPointer?, to out: inout ByteBuffer) throws(Refusal) {
    if identity == nil { throw Self.stranger }
    try reader.requireOnly(operation.fields, operation: operation.rawValue)
    if operation == .shards {
      return ShardMap.append(front.shards.map(\.view), of: front.settings.name, rid: rid, to: &out)
    }
    if front.admission.asksWho, identity?.allowsEverywhere(.admin) != true {
      throw Refusal(code: .forbidden, message: "this takes the right 'admin:*'")
    }
    guard let number = try shardField() else { throw .missing(.shard) }
    let shard = front.shards[number]
    switch operation {
    case .moveLeader:
      guard let to = try reader.string(.to) else { throw .missing(.to) }
      let view = shard.view
      guard view.isServing else { return NotLeader(view, front.settings.name).append(to: &out, rid: rid) }
      let name = String(decoding: to, as: UTF8.self)
      guard view.status.nodes.contains(where: { $0.name == name }) else {
        throw Refusal(code: .notFound, message: "no node '\(name)' was heard of in shard \(number) lately")
      }
      if name != front.settings.name { shard.post(.resign(to: name)) }
    case .seizeLeader: shard.post(.seize)
    case .digestShard: shard.post(.digest)
    case .shards: preconditionFailure("answered above")
    }
    out.beginReply(rid: rid)
    out.endLine()
  }
}
