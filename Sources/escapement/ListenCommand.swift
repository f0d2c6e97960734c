// listen: one JSON line for each message; what is printed is acknowledged.
//
// Holds: a message is acknowledged after its line is flushed, never before; with `--count` and a group, exactly so many
// are taken from the server, so that none is left delivered and unprinted.

import EscapementClient
import Foundation

extension Command {
  static let listen = Command(
    name: "listen", positional: ["TOPIC"], summary: "Print messages as they come, and acknowledge them.",
    options: [
      .value("group", "GROUP", "share the topic's messages in this group; without it: only look"),
      .value("count", "N", "end after so many messages"),
      .value(
        "from", "WHERE", "where a new group, or listening without one, begins: earliest, latest or an offset",
        standard: "earliest; latest without a group"),
      .value("tag", "TAG", "only messages with this tag", repeats: true),
      .flag("ordered", "messages with one key one at a time, in order"),
    ] + connectionOptions
  ) { options in
    let listening = try Listening(options)
    // An interrupt is the usual end of a listener, so it is no failure.
    return try await Session.run(options, reconnect: ReconnectBackoff(), onEvent: Listening.tell) { client in
      do {
        try await Interruption.cancelling { try await listening.run(client) }
      } catch is CancellationError {}
      return 0
    }
  }
}

private struct Listening: Sendable {
  // A waiting fetch is asked for again after this long; the server allows 60 s.
  private static let fetchWaitMs: Int64 = 30_000

  let topic: String
  let group: String?
  let count: Int?
  let consume: ConsumeOptions

  init(_ options: CommandLineOptions) throws(UsageError) {
    topic = options.arguments[0]
    group = options.text("group")
    count = try options.integer("count", in: 1...Int64(Int32.max)).map { Int($0) }
    var consume = ConsumeOptions(tags: options.texts("tag"), ordered: options.has("ordered") ? true : nil)
    switch options.text("from") {
    case nil: break
    case "earliest": consume.from = .earliest
    case "latest": consume.from = .latest
    case let text?:
      guard let offset = UInt64(text) else {
        throw UsageError("--from: '\(text)' is not earliest, latest or an offset")
      }
      consume.from = .offset(offset)
    }
    self.consume = consume
  }

  /// Says what the messages alone would not show: a lost connection, a gap, the end of the topic.
  @Sendable static func tell(_ event: ConnectionEvent) {
    switch event {
    case .truncated(_, _, let from, let to):
      printError("escapement listen: retention took the messages from \(from) to \(to - 1) before they came here")
    case .ended(let topic, _, let reason):
      printError("escapement listen: the end of '\(topic)': \(reason)")
    case .lost(let reason): printError("escapement listen: connection lost (\(reason)); trying again")
    case .connected(again: true): printError("escapement listen: connected again")
    default: break
    }
  }

  func run(_ client: EscapementClient) async throws {
    if let count, let group { return try await fetch(count, group, client) }
    let subscription = try await client.subscribe(topic: topic, group: group, options: consume)
    var left = count ?? .max
    for try await delivery in subscription {
      guard Output.line(Self.line(delivery)) else { break }
      delivery.ack()
      left -= 1
      if left == 0 { break }
    }
  }

  private func fetch(_ count: Int, _ group: String, _ client: EscapementClient) async throws {
    var left = count
    while left > 0 {
      let deliveries = try await client.fetch(
        topic: topic, group: group, max: min(left, 1_000), waitMs: Self.fetchWaitMs, options: consume)
      for delivery in deliveries {
        guard Output.line(Self.line(delivery)) else { return }
        delivery.ack()
      }
      left -= deliveries.count
    }
  }

  private static func line(_ delivery: Delivery) -> String {
    func field(_ name: String, _ value: String?) -> String {
      value.flatMap { try? Output.quoted($0) }.map { ",\"\(name)\":\($0)" } ?? ""
    }
    let headers = delivery.headers.isEmpty ? "" : ",\"headers\":\((try? Output.json(delivery.headers)) ?? "{}")"
    return "{\"topic\":\"\(delivery.topic)\",\"offset\":\(delivery.offset)" + field("id", delivery.id)
      + ",\"attempt\":\(delivery.attempt),\"deliverAtMs\":\(delivery.deliverAtMs)"
      + ",\"releasedAtMs\":\(delivery.releasedAtMs)" + field("key", delivery.key) + field("tag", delivery.tag) + headers
      + ",\"body\":\(String(decoding: delivery.body, as: UTF8.self))}"
  }
}
