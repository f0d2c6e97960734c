// redrive: puts the dead letters of a group back.

import EscapementClient

extension Command {
  static let redrive = Command(
    name: "redrive", positional: ["TOPIC", "GROUP"],
    summary: "Put a group's dead letters back at the end of their topic, oldest first.",
    options: [.value("limit", "N", "at most so many, up to 10000", standard: "1000")] + connectionOptions
  ) { options in
    let limit = try options.integer("limit", in: 1...10_000)
    return try await Session.run(options) { client in
      let receipt = try await client.redrive(
        topic: options.arguments[0], group: options.arguments[1], limit: limit.map { Int($0) })
      Output.line(try Output.json(receipt))
      return 0
    }
  }
}
