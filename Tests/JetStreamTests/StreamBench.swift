// A stream over the model of a server, and a clock that the test moves.

import NATS
import Primitives
import ReplicatedStream

@testable import JetStream

final class StreamBench {
  let server = ModelServer()
  let stream: JetStreamStream
  private(set) var nowMs: Int64 = 1000
  var events: [StreamEvent] = []

  init(seed: UInt64 = 1, _ change: (inout JetStreamSettings) -> Void = { _ in }) {
    var settings = JetStreamSettings(shard: 0, of: 8, replicas: 1, bytesMax: 1_000_000, mayCreate: true)
    change(&settings)
    let client = NATSSettings(servers: try! ServerAddress.list("nats://one,nats://two"), name: "test")
    server.configuration = StreamConfiguration.text(settings)
    stream = JetStreamStream(settings, over: NATSClient(client, transport: server, seed: seed))
  }

  /// One turn of a loop.
  func turn(afterMs: Int64 = 0) {
    nowMs += afterMs
    server.nowMs = nowMs
    stream.turn(nowMs: nowMs)
    while let event = stream.nextEvent() { events.append(event) }
  }

  /// Turns until something is so; false when it has not become so in `ms`.
  @discardableResult
  func wait(ms: Int64 = 5000, until isSo: () -> Bool) -> Bool {
    let endMs = nowMs + ms
    while !isSo() {
      if nowMs > endMs { return false }
      turn(afterMs: 1)
    }
    return true
  }

  func open() -> Bool { wait { stream.link == .connected } }

  var problems: [String] {
    events.compactMap { if case .problem(let text) = $0 { text } else { nil } }
  }

  // MARK: Calls and their outcomes

  func append(_ text: String, expecting last: EntrySequence) -> AppendOutcome? {
    let call = text.withBytes { stream.append($0, expecting: last) }
    return outcome { if case .appended(call, let outcome) = $0 { outcome } else { nil } }
  }

  func read(from first: EntrySequence, maxBytes: Int = 1 << 20) -> ReadOutcome? {
    let call = stream.read(from: first, maxBytes: maxBytes)
    return outcome { if case .read(call, let outcome) = $0 { outcome } else { nil } }
  }

  func last() -> LastOutcome? {
    let call = stream.last()
    return outcome { if case .last(call, let outcome) = $0 { outcome } else { nil } }
  }

  func truncate(below first: EntrySequence) -> TruncateOutcome? {
    let call = stream.truncate(below: first)
    return outcome { if case .truncated(call, let outcome) = $0 { outcome } else { nil } }
  }

  private func outcome<Outcome>(_ find: (StreamEvent) -> Outcome?) -> Outcome? {
    var found: Outcome?
    wait(ms: 20_000) {
      found = events.compactMap(find).first
      return found != nil
    }
    return found
  }

  static func entry(_ sequence: EntrySequence, _ text: String) -> StreamEntry {
    StreamEntry(sequence: sequence, previous: sequence - 1, bytes: Array(text.utf8))
  }
}
