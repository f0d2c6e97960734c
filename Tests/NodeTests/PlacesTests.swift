// Where names are, and where nodes are.

import Platform
import Primitives
import Testing

@testable import Node

@Suite("places")
struct PlacesTests {
  private func shard(_ topic: String, of count: Int = 8) -> Int {
    topic.withBytes { ShardPlaces(count: count).shard(ofTopic: $0) }
  }

  @Test("a topic never moves: these stand in clusters that run")
  func fixed() {
    #expect(["orders", "reviews", "t0", "a.b", "x-y_z"].map { shard($0) } == [1, 3, 6, 4, 5])
    #expect("/".withBytes { ShardPlaces(count: 8).shard(ofVirtualHost: $0) } == 7)
  }

  @Test("topics are spread evenly")
  func spread() {
    var counts = [Int](repeating: 0, count: 8)
    for number in 0..<8000 { counts[shard("topic-\(number)")] += 1 }
    #expect(counts.allSatisfy { (800...1200).contains($0) }, "\(counts)")
  }

  @Test("dead letters are with their topic")
  func deadLetters() {
    for number in 0..<100 {
      #expect(shard("t\(number).group.dlq") == shard("t\(number)"))
      #expect(shard("shop.t\(number).group.dlq") == shard("shop.t\(number)"))
    }
    // No topic and group before it: a name like any other.
    #expect(shard(".dlq") == shard(".dlq"))
    #expect((0..<64).contains { shard("a\($0).dlq") != shard("a\($0)") })
  }

  @Test("a subscription tells its shard")
  func subscriptions() {
    let places = ShardPlaces(count: 3)
    #expect((1...6).map { places.shard(ofSubscription: $0) } == [0, 1, 2, 0, 1, 2])
    #expect(places.shard(ofSubscription: 0) == nil)
    #expect(places.shard(ofSubscription: -1) == nil)
  }

  @Test(
    "addresses are read as they are written",
    arguments: [
      ("127.0.0.1:7611", "127.0.0.1", 7611), ("[::1]:1", "::1", 1), ("node-1.example:65535", "node-1.example", 65535),
    ]
  )
  func addresses(_ text: String, _ host: String, _ port: UInt16) {
    let address = NodeAddress(text)
    #expect(address?.host == host)
    #expect(address?.port == port)
    #expect(address?.text == text)
  }

  @Test("what is no address is none", arguments: ["", ":1", "host", "host:", "host:0", "host:65536", "[]:1"])
  func badAddresses(_ text: String) { #expect(NodeAddress(text) == nil) }

  @Test("a node tells where its brokers are")
  func brokers() {
    let told = NodePlaces(line: "10.0.0.1:7611", rocketMQ: NodeAddress(host: "10.0.0.1", port: 9876)).text
    let places = NodePlaces(told)
    #expect(places.line == "10.0.0.1:7611")
    #expect(places.broker(ofShard: 3)?.text == "10.0.0.1:9880")
    #expect(NodePlaces("10.0.0.1:7611").broker(ofShard: 0) == nil)
  }

  @Test(
    "an address of a client comes back from its text", arguments: ["127.0.0.1", "192.0.2.77", "2001:db8:0:0:0:0:0:1"])
  func peers(_ text: String) { #expect(PeerAddress(text)?.description == text) }

  @Test("what is no address of a client is none", arguments: ["", "localhost", "1.2.3", "::g"])
  func badPeers(_ text: String) { #expect(PeerAddress(text) == nil) }
}
