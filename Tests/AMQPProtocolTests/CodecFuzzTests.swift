// Real frames and random tables, spoiled at random: no trap, nothing read beyond the bytes, and every refusal is typed.
//
// A run makes 200 000 inputs; `ESCAPEMENT_SEEDS=5` makes a million, in five seconds of a debug build.

import Foundation
import Primitives
import SeededRandom
import Testing

@testable import AMQPProtocol

@Suite("spoiled input")
struct CodecFuzzTests {
  static let perSeed = 5000
  static let seeds: [UInt64] = {
    let factor = ProcessInfo.processInfo.environment["ESCAPEMENT_SEEDS"].flatMap(Int.init) ?? 1
    return AMQPProtocolTests.seeds(20 * max(1, factor))
  }()

  /// A few octets changed, cut out, doubled or added; mostly lengths and types meet something they do not fit.
  static func spoil(_ bytes: inout [UInt8], _ random: inout SplitMix64) {
    for _ in 0...random.below(3) where !bytes.isEmpty {
      let place = random.below(bytes.count)
      switch random.below(6) {
      case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
      case 1: bytes[place] ^= 1 << random.below(8)
      case 2: bytes[place] = [0, 1, 0x7F, 0x80, 0xFF, 0x46, 0x41, 0xCE][random.below(8)]
      case 3: bytes.removeSubrange(place..<min(bytes.count, place + 1 + random.below(4)))
      case 4: bytes.insert(contentsOf: random.bytes(1 + random.below(4)), at: place)
      default: bytes.removeLast(random.below(bytes.count))
      }
    }
  }

  /// Everything that the payload of a frame is looked at for; what goes wrong is an `AMQPFault`.
  static func read(_ kind: FrameKind, _ payload: UnsafeRawBufferPointer) throws(AMQPFault) {
    switch kind {
    case .method: _ = try MethodTests.encodedAgain(MethodFrame(payload), channel: 1)
    case .header:
      let properties = try BasicProperties(reading: ContentHeader(payload).properties)
      #expect(properties.headers.map { $0.decoded != nil } ?? true)
    case .body, .heartbeat: break
    }
  }

  @Test("frames of real clients", arguments: seeds)
  func frames(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let frames = ClientBytes.all.filter { $0.key.hasPrefix("pika") && $0.value.last == 0xCE }
    let originals = frames.sorted { $0.key < $1.key }.map(\.value)
    let memory = GuardedMemory()
    var refused = 0
    for _ in 0..<Self.perSeed {
      var bytes = originals[random.below(originals.count)]
      let kind = FrameKind(rawValue: bytes[0])!
      Self.spoil(&bytes, &random)
      let body = bytes.dropFirst(7).dropLast()
      if fault({ () throws(AMQPFault) in try Self.read(kind, memory.copy(body)) }) != nil { refused += 1 }
      var reader = try openReader(bytes)
      var order = FrameOrder()
      let ended = fault { () throws(AMQPFault) in
        while case .frame(let frame) = try reader.next() {
          if frame.kind != .heartbeat { _ = try order.accept(frame) }
        }
      }
      if ended != nil { refused += 1 }
    }
    #expect(refused > Self.perSeed / 4, "most of what is spoiled is refused; \(replay(seed, "CodecFuzzTests"))")
  }

  @Test("random tables", arguments: seeds)
  func tables(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let memory = GuardedMemory()
    var original: [UInt8] = []
    for round in 0..<Self.perSeed {
      if round % 50 == 0 { original = FieldTableTests.encoded(random.entries()) }
      var bytes = original
      Self.spoil(&bytes, &random)
      let table = FieldTable(memory.copy(bytes))
      let decoded = table.decoded
      let isWellFormed = table.isWellFormed
      if isWellFormed != (decoded != nil) {
        Issue.record("the two ways of reading a table disagree; \(replay(seed, "CodecFuzzTests"))")
      }
      if let decoded, FieldTableTests.encoded(decoded).count != bytes.count {
        Issue.record("a table encodes to another length; \(replay(seed, "CodecFuzzTests"))")
      }
      _ = try? Credentials(amqplain: table.bytes)
      _ = try? Credentials(plain: table.bytes)
    }
  }
}
