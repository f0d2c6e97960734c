// Spoiled bytes: whatever comes, the answer is a value or an error, never a trap and never a byte from outside.
//
// A million mutations in all, divided among the readers by what they cost.

import LineProtocol
import Primitives
import SeededRandom
import Testing

@testable import RemotingProtocol

@Suite("spoiled bytes never trap")
struct FuzzTests {
  static let seeds = (0..<4).map { UInt64($0) }

  /// Calls `read` with mutations of the originals, each in memory that ends exactly where the bytes do.
  private func mutate(
    _ originals: [[UInt8]], count: Int, seed: UInt64, _ read: (UnsafeRawBufferPointer) throws(RemotingError) -> Void
  ) -> (accepted: Int, refused: Int) {
    var random = SplitMix64(seed: seed)
    var tally = (accepted: 0, refused: 0)
    let room = 64 + originals.map(\.count).max()!
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: room, alignment: 1)
    defer { memory.deallocate() }
    let edges: [UInt8] = [0, 1, 2, 0x22, 0x2C, 0x5C, 0x7D, 0x7F, 0x80, 0xFF]
    for _ in 0..<count {
      let original = originals[Int(random.next(below: UInt64(originals.count)))]
      var length = original.count
      // Cut or lengthened in one case of four.
      switch random.next(below: 8) {
      case 0: length = Int(random.next(below: UInt64(length + 1)))
      case 1: length += Int(random.next(below: 9))
      default: break
      }
      // At the end of the memory, where a sanitizer sees an overread.
      let bytes = UnsafeMutableRawBufferPointer(rebasing: memory[(room - length)...])
      original.withUnsafeBytes {
        bytes.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[..<min(length, $0.count)]))
      }
      for place in min(length, original.count)..<length { bytes[place] = UInt8(truncatingIfNeeded: random.next()) }
      if length > 0 {
        for _ in 0..<random.next(below: 4) {
          let place = Int(random.next(below: UInt64(length)))
          switch random.next(below: 3) {
          case 0: bytes[place] ^= 1 << UInt8(random.next(below: 8))
          case 1: bytes[place] = edges[Int(random.next(below: UInt64(edges.count)))]
          default: bytes[place] = UInt8(truncatingIfNeeded: random.next())
          }
        }
      }
      do throws(RemotingError) {
        try read(UnsafeRawBufferPointer(bytes))
        tally.accepted += 1
      } catch {
        tally.refused += 1
      }
    }
    return tally
  }

  private func expectBoth(_ tally: (accepted: Int, refused: Int)) {
    #expect(tally.accepted > 0 && tally.refused > 0, "the mutations are neither all harmless nor all fatal: \(tally)")
  }

  private static let binaryFrames: [[UInt8]] = {
    let fields = layout(
      Int16(1), "b", Int32(6), "orders", Int16(1), "e", Int32(1), "0", Int16(1), "i", Int32(4), "K\u{1}v\u{2}")
    let header = layout(
      Int16(310), UInt8(1), Int16(63), Int32(1), Int32(0), Int32(2), "hi", Int32(fields.count), fields)
    return [frame(header, body: [1, 2], type: 1)]
  }()

  private func readFrames(_ bytes: UnsafeRawBufferPointer, _ headers: RemotingHeaderReader) throws(RemotingError) {
    var reader = RemotingFrameReader()
    reader.append(bytes)
    while let frame = try reader.next() {
      let header = try headers.read(frame)
      for field in header.fields { _ = field.name.count + field.value.count }
      if header.request == .sendMessage || header.request == .sendMessageV2 { _ = try SendRequest(header) }
      if header.request == .pullMessage { _ = try PullRequest(header) }
    }
  }

  @Test("frames with JSON headers", arguments: seeds)
  func jsonFrames(_ seed: UInt64) {
    let headers = RemotingHeaderReader()
    let originals = CapturedSession.frames.map(\.bytes).filter { $0.count < 600 }
    expectBoth(
      mutate(originals, count: 15_000, seed: seed) { bytes throws(RemotingError) in try readFrames(bytes, headers) })
  }

  @Test("frames with binary headers", arguments: seeds)
  func binaryFrames(_ seed: UInt64) {
    let headers = RemotingHeaderReader()
    expectBoth(
      mutate(Self.binaryFrames, count: 75_000, seed: seed) { bytes throws(RemotingError) in
        try readFrames(bytes, headers)
      })
  }

  @Test("bodies of pulls and batches", arguments: seeds)
  func messages(_ seed: UInt64) throws {
    let pulled = try bytes { buffer throws(RemotingError) in
      for _ in 0..<2 {
        try Array("orders".utf8).withBytes { text throws(RemotingError) in
          try buffer.append(PulledMessage(topic: text, body: text, properties: text))
        }
      }
    }
    expectBoth(
      mutate([pulled], count: 40_000, seed: seed) { bytes throws(RemotingError) in
        var reader = PulledMessageReader(bytes)
        while let message = try reader.next() { _ = message.encodedBytes }
      })
    let batch = layout(Int32(28), Int32(0), Int32(0), Int32(9), Int32(2), "hi", Int16(4), "K\u{1}v\u{2}")
    expectBoth(
      mutate([batch, batch + batch], count: 60_000, seed: seed) { bytes throws(RemotingError) in
        var reader = MessageBatch(bytes)
        while let message = try reader.next() { for property in message.properties { _ = property.name.count } }
      })
  }

  @Test("properties and ids", arguments: seeds)
  func texts(_ seed: UInt64) {
    let tally = mutate([Array("KEYS\u{1}k1\u{2}TAGS\u{1}paid\u{2}".utf8)], count: 30_000, seed: seed) { text in
      for property in MessageProperties(text) { _ = property.name.count + property.value.count }
      _ = MessageProperties(text)["TAGS"]
    }
    #expect(tally.refused == 0)
    expectBoth(
      mutate([Array("7F00000100002A9F0000000000000297".utf8)], count: 25_000, seed: seed) {
        text throws(RemotingError) in
        if MessageID(text) == nil { throw .malformedBody("") }
      })
  }

  @Test("bodies in JSON", arguments: seeds)
  func bodies(_ seed: UInt64) {
    let reader = JSONReader()
    let heartbeat = #"{"clientID":"a","consumerDataSet":[{"groupName":"g","messageModel":1,"subscriptionDataSet":[]}]}"#
    let lock = #"{"consumerGroup":"g","clientId":"c","mqSet":[{"topic":"t","brokerName":"b","queueId":1}]}"#
    expectBoth(
      mutate([Array(heartbeat.utf8)], count: 2_500, seed: seed) { bytes throws(RemotingError) in
        _ = try Heartbeat(bytes, reader)
      })
    expectBoth(
      mutate([Array(lock.utf8)], count: 2_500, seed: seed) { bytes throws(RemotingError) in
        _ = try QueueLockRequest(bytes, reader)
      })
  }
}
