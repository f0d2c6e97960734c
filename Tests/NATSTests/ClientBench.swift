// A client, a network that the test scripts, and a clock that the test moves.

import Primitives

@testable import NATS

final class ClientBench {
  let transport = ScriptedTransport()
  let client: NATSClient
  private(set) var nowMs: Int64 = 1000

  init(_ servers: String = "nats://one:1", seed: UInt64 = 1, _ change: (inout NATSSettings) -> Void = { _ in }) {
    var settings = NATSSettings(servers: try! ServerAddress.list(servers), name: "test")
    change(&settings)
    client = NATSClient(settings, transport: transport, seed: seed)
  }

  static let info = #"INFO {"server_name":"n1","version":"2.15.1","headers":true,"max_payload":1048576}"# + "\r\n"

  /// A turn, after so many ms, and what it gave, as text.
  @discardableResult
  func turn(afterMs: Int64 = 0) -> [String] {
    nowMs += afterMs
    client.turn(nowMs: nowMs)
    var events: [String] = []
    while let event = client.next() {
      events.append(Self.text(event))
      precondition(events.count < 10_000, "what happens in a turn comes to an end")
    }
    client.flush()
    return events
  }

  /// Turns when the client wants it, until a time, or until something has happened.
  func wait(ms: Int64) -> [String] {
    let endMs = nowMs + ms
    while nowMs < endMs {
      let events = turn(afterMs: max(1, min(client.nextTurnMs, endMs) - nowMs))
      if !events.isEmpty { return events }
    }
    return []
  }

  /// Connects and is accepted.
  func connect(_ info: String = ClientBench.info) {
    for _ in 0..<1000 where !transport.isOpen { turn(afterMs: max(0, client.nextTurnMs - nowMs)) }
    precondition(transport.isOpen, "a client without a connection tries again")
    transport.say(info)
    turn()
    transport.say("PONG\r\n")
    turn()
    _ = transport.takeSent()
  }

  func ask(_ subject: String = "do", _ payload: String = "", timeoutMs: Int64 = 1000, several: Bool = false) -> NATSCall
  {
    payload.withBytes { client.request(subject, $0, timeoutMs: timeoutMs, takesSeveral: several) }
  }

  /// The reply to a call.
  func reply(_ call: NATSCall, _ text: String) {
    transport.say("MSG \(client.inbox)\(call.number) 1 \(text.utf8.count)\r\n\(text)\r\n")
  }

  private static func text(_ event: NATSEvent) -> String {
    switch event {
    case .connected: "connected"
    case .disconnected(let reason): "disconnected \(reason)"
    case .reply(let call, let message): "reply \(call.number) \(String(decoding: message.payload, as: UTF8.self))"
    case .unanswered(let call): "unanswered \(call.number)"
    case .message(let message):
      "message \(message.subscription) \(String(decoding: message.payload, as: UTF8.self))"
    case .refused(let reason): "refused \(reason)"
    }
  }
}
