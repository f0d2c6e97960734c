// The loop: waits for a line or for the network, turns the stream, prints what has happened.

import CommandLines
import JetStream
import NATS
import Platform
import Primitives
import ReplicatedStream

final class Shell {
  private let transport: SocketTransport
  private let stream: JetStreamStream
  private let epoll = try! Epoll(capacity: 4)
  private var lines = CommandLines()
  private var load: Load?
  private var hasQuit = false

  init(_ client: NATSSettings, _ settings: JetStreamSettings) throws {
    transport = try SocketTransport()
    stream = JetStreamStream(
      settings, over: NATSClient(client, transport: transport, seed: SystemRandom.next()))
    try epoll.add(0, generation: 0, .readable)
    try epoll.add(transport.descriptor, generation: 1, .readable)
  }

  func run() throws {
    while !hasQuit, !lines.hasEnded {
      stream.turn(nowMs: Self.nowMs())
      while let event = stream.nextEvent() { take(event) }
      load?.fill(stream)
      stream.turn(nowMs: Self.nowMs())
      let waitMs = max(0, min(stream.nextTurnMs - Self.nowMs(), 1000))
      let count = try epoll.wait(timeoutNs: waitMs * 1_000_000)
      for place in 0..<count where epoll[place].generation == 0 { lines.read().forEach(perform) }
    }
    stream.stop()
  }

  static func nowMs() -> Int64 { SystemClock.bootNs() / 1_000_000 }

  private func perform(_ words: [String]) {
    let numbers = words.dropFirst().map { UInt64($0) ?? 0 }
    switch (words.first, numbers.count) {
    case ("append", 3):
      let bytes = Self.bytes(Int(numbers[1]), seed: numbers[2])
      let call = bytes.withUnsafeBytes { stream.append($0, expecting: numbers[0]) }
      CommandLines.say("call \(call.number)")
    case ("read", 2): CommandLines.say("call \(stream.read(from: numbers[0], maxBytes: Int(numbers[1])).number)")
    case ("last", 0): CommandLines.say("call \(stream.last().number)")
    case ("truncate", 1): CommandLines.say("call \(stream.truncate(below: numbers[0]).number)")
    case ("load", 3): load = Load(count: Int(numbers[0]), bytes: Int(numbers[1]), window: Int(numbers[2]), stream)
    case ("quit", 0): hasQuit = true
    default: CommandLines.refuse(words)
    }
  }

  /// Bytes that tell their seed.
  static func bytes(_ count: Int, seed: UInt64) -> [UInt8] {
    var state = seed
    return (0..<count).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return UInt8(truncatingIfNeeded: state >> 56)
    }
  }

  private func take(_ event: StreamEvent) {
    if load?.take(event) == true {
      if let line = load?.report {
        CommandLines.say(line)
        load = nil
      }
      return
    }
    switch event {
    case .appended(let call, let outcome): CommandLines.say("appended \(call.number) \(outcome)")
    case .read(let call, .entries(let entries)):
      CommandLines.say("read \(call.number) entries \(entries.map(Self.text).joined(separator: " "))")
    case .read(let call, let outcome): CommandLines.say("read \(call.number) \(outcome)")
    case .last(let call, let outcome): CommandLines.say("last \(call.number) \(outcome)")
    case .truncated(let call, let outcome): CommandLines.say("truncated \(call.number) \(outcome)")
    case .entry(let entry): CommandLines.say("entry \(Self.text(entry))")
    case .link(.connected):
      CommandLines.say("connected \(stream.server.map { "\($0)" } ?? "") \(stream.identity?.createdNs ?? 0)")
    case .link(.away): CommandLines.say("away")
    case .problem(let text): CommandLines.say("problem \(text)")
    }
  }

  private static func text(_ entry: StreamEntry) -> String {
    "\(entry.sequence):\(entry.previous):\(entry.bytes.count):\(entry.bytes.withUnsafeBytes { CRC32C.checksum($0) })"
  }
}
