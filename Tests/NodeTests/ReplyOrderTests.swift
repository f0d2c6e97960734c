// Answers of several shards come out in the order of their requests, whenever each of them comes in.

import Primitives
import SeededRandom
import Testing

@testable import Node

@Suite("the order of answers of several shards")
struct ReplyOrderTests {
  /// A shard that answers its lines in order, some time later.
  private struct Shard {
    var waiting: [String] = []

    mutating func answer() -> String? { waiting.isEmpty ? nil : waiting.removeFirst() }
  }

  private static func answer(to line: String) -> String {
    guard line.hasPrefix("{\"op\":\"ping\"") else { return line }
    let rid = line.split(separator: "\"rid\":\"")[1].prefix { $0 != "\"" }
    return "{\"ok\":true,\"rid\":\"\(rid)\",\"nowMs\":1}\n"
  }

  @Test("the answers are those of one server", arguments: UInt64(1)...40)
  func model(_ seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var order = ReplyOrder(secret: "s3cret")
    var shards = [Shard](repeating: Shard(), count: 4)
    var wanted: [String] = []
    var sent: [String] = []
    var events: [String] = []
    func line(_ bytes: UnsafeRawBufferPointer) -> String { String(decoding: bytes, as: UTF8.self) }
    var number = 0
    func deliver(_ place: Int) {
      guard let answer = shards[place].answer() else { return }
      answer.withBytes { order.take($0, from: place) { sent.append(line($0)) } }
    }
    for _ in 0..<600 {
      number += 1
      switch random.next(below: 10) {
      case 0...4:
        let place = Int(random.next(below: UInt64(shards.count)))
        if let marker = order.requestGoes(to: place) {
          shards[marker.shard].waiting.append(Self.answer(to: marker.line))
        }
        let answer = "{\"ok\":true,\"n\":\(number)}\n"
        shards[place].waiting.append(answer)
        wanted.append(answer)
      case 5:
        let own = "{\"ok\":false,\"n\":\(number)}\n"
        let (marker, isDue) = order.answers(Array(own.utf8))
        if let marker { shards[marker.shard].waiting.append(Self.answer(to: marker.line)) }
        if isDue { sent.append(own) }
        wanted.append(own)
      case 6:
        let event = "{\"event\":\"message\",\"n\":\(number)}\n"
        event.withBytes { order.take($0, from: 1) { events.append(line($0)) } }
        #expect(events.last == event)
      default: deliver(Int(random.next(below: UInt64(shards.count))))
      }
    }
    while shards.contains(where: { !$0.waiting.isEmpty }) {
      deliver(Int(random.next(below: UInt64(shards.count))))
    }
    #expect(sent == wanted)
    #expect(order.heldBytes == 0)
  }

  @Test("while one shard has all requests, nothing is looked at")
  func single() {
    var order = ReplyOrder(secret: "s")
    #expect(order.requestGoes(to: 2) == nil)
    #expect(order.requestGoes(to: 2) == nil)
    #expect(order.isOpen(for: 2))
    #expect(!order.isOpen(for: 1))
    #expect(order.requestGoes(to: 1) == ReplyOrder.Marker(shard: 2, line: "{\"op\":\"ping\",\"rid\":\"s.1\"}\n"))
    #expect(!order.isOpen(for: 2))
  }

  @Test("the answer of a fetch that waited passes when nothing is expected of its shard")
  func late() {
    var order = ReplyOrder(secret: "s")
    _ = order.requestGoes(to: 0)
    _ = order.requestGoes(to: 1)
    var sent: [String] = []
    func take(_ line: String, _ shard: Int) {
      line.withBytes { order.take($0, from: shard) { sent.append(String(decoding: $0, as: UTF8.self)) } }
    }
    take("{\"ok\":true,\"rid\":\"s.1\",\"nowMs\":1}\n", 0)
    #expect(sent.isEmpty)
    take("{\"ok\":true,\"messages\":[]}\n", 0)
    #expect(sent == ["{\"ok\":true,\"messages\":[]}\n"])
  }
}
