// schedule, publish, cancel, reschedule, get, list: each prints JSON lines.

import EscapementClient
import Foundation

extension Command {
  static let schedule = Command(
    name: "schedule", positional: ["TOPIC"], summary: "Schedule a message for later.",
    options: MessageOptions.due + MessageOptions.content + [
      .value("if-exists", "WHAT", "when the id is pending: keep, replace or reject", standard: "keep")
    ] + connectionOptions
  ) { options in
    let message = ScheduleRequest(
      topic: options.arguments[0], body: try MessageOptions.body(options), when: try MessageOptions.due(options),
      id: options.text("id"), key: options.text("key"), tag: options.text("tag"),
      headers: try options.pairs("header"), ifExists: try options.choice("if-exists"))
    let acks: Acks = try options.choice("acks") ?? .disk
    return try await Session.run(options) { client in
      Output.line(try Output.json(try await client.schedule(message, acks: acks)))
      return 0
    }
  }

  static let publish = Command(
    name: "publish", positional: ["TOPIC"], summary: "Publish a message at once.",
    options: MessageOptions.content + connectionOptions
  ) { options in
    let body = try MessageOptions.body(options)
    let headers = try options.pairs("header")
    let acks: Acks = try options.choice("acks") ?? .disk
    return try await Session.run(options) { client in
      let receipt = try await client.publish(
        topic: options.arguments[0], body: body, id: options.text("id"), key: options.text("key"),
        tag: options.text("tag"), headers: headers, acks: acks)
      Output.line(try Output.json(receipt))
      return 0
    }
  }

  static let cancel = Command(
    name: "cancel", positional: ["TOPIC", "ID"], summary: "Cancel a pending message.", options: connectionOptions
  ) { options in
    try await Session.run(options) { client in
      let outcome = try await client.cancel(topic: options.arguments[0], id: options.arguments[1])
      Output.line("{\"outcome\":\"\(outcome.rawValue)\"}")
      return 0
    }
  }

  static let reschedule = Command(
    name: "reschedule", positional: ["TOPIC", "ID"], summary: "Move a pending message to another time.",
    options: MessageOptions.due + connectionOptions
  ) { options in
    let due = try MessageOptions.due(options)
    return try await Session.run(options) { client in
      switch try await client.reschedule(topic: options.arguments[0], id: options.arguments[1], when: due) {
      case .rescheduled(let ms): Output.line("{\"outcome\":\"rescheduled\",\"deliverAtMs\":\(ms)}")
      case .released: Output.line("{\"outcome\":\"released\"}")
      case .unknown: Output.line("{\"outcome\":\"unknown\"}")
      }
      return 0
    }
  }

  static let get = Command(
    name: "get", positional: ["TOPIC", "ID"], summary: "Show what the server knows about a message.",
    options: connectionOptions
  ) { options in
    try await Session.run(options) { client in
      switch try await client.get(topic: options.arguments[0], id: options.arguments[1]) {
      case .pending(let message, let headers, let body):
        let known = try Output.json(message).dropLast()
        let headerField = headers.isEmpty ? "" : ",\"headers\":\(try Output.json(headers))"
        Output.line("\(known),\"state\":\"pending\"\(headerField),\"body\":\(String(decoding: body, as: UTF8.self))}")
      case .released: Output.line("{\"state\":\"released\"}")
      case .cancelled: Output.line("{\"state\":\"cancelled\"}")
      case .unknown: Output.line("{\"state\":\"unknown\"}")
      }
      return 0
    }
  }

  static let list = Command(
    name: "list", positional: ["TOPIC"], summary: "List pending messages in the order they are due.",
    options: [
      .value("from", "TIME", "due at or after this time: RFC 3339 or Unix ms"),
      .value("to", "TIME", "due up to this time"),
      .value("limit", "N", "at most so many; 0: all", standard: "100"),
    ] + connectionOptions
  ) { options in
    let from = try options.timeMs("from")
    let to = try options.timeMs("to")
    let limit = try options.integer("limit", in: 0...Int64(Int32.max)) ?? 100
    return try await Session.run(options) { client in
      var left = limit == 0 ? Int64.max : limit
      let pages = client.pending(
        topic: options.arguments[0], fromMs: from, toMs: to, pageSize: Int(min(left, 1_000)))
      for try await message in pages {
        guard Output.line(try Output.json(message)) else { break }
        left -= 1
        if left == 0 { break }
      }
      return 0
    }
  }
}
