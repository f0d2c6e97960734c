// Which shard a name belongs to.
//
// Holds: every node gives the same answer, for ever: it follows from the name and the number of shards.
// A topic is where the hash of its name says; the dead-letter topic `TOPIC.GROUP.dlq` is with its topic, because one record
// moves a message from the one to the other, and a record never spans shards. For the same reason a virtual host of RabbitMQ is
// in one shard, with all its queues.

import Primitives

/// The places of names.
struct ShardPlaces: Sendable {
  /// How many shards there are.
  let count: Int

  private static let topics = SipHash128(key0: 0x6573_6361_7065_6d65, key1: 0x6e74_2074_6f70_6963)
  private static let hosts = SipHash128(key0: 0x6573_6361_7065_6d65, key1: 0x6e74_2076_686f_7374)

  /// The shard of a topic.
  func shard(ofTopic name: UnsafeRawBufferPointer) -> Int {
    place(of: Self.source(of: name), by: Self.topics)
  }

  /// The shard of a virtual host.
  func shard(ofVirtualHost name: UnsafeRawBufferPointer) -> Int { place(of: name, by: Self.hosts) }

  /// The shard that a connection's subscription was made in: each gives numbers of its own.
  func shard(ofSubscription number: Int64) -> Int? { number >= 1 ? Int((number - 1) % Int64(count)) : nil }

  private func place(of name: UnsafeRawBufferPointer, by hash: SipHash128) -> Int {
    Int(hash.hash(topic: 0, id: name).low % UInt64(count))
  }

  /// The topic that a dead-letter topic belongs to; other names stand for themselves.
  private static func source(of name: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    guard name.count > 4, name.suffix(4).elementsEqual(".dlq".utf8) else { return name }
    let rest = name.dropLast(4)
    guard let dot = rest.lastIndex(of: UInt8(ascii: ".")), dot > 0 else { return name }
    return UnsafeRawBufferPointer(rebasing: name[..<dot])
  }
}
