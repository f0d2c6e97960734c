// snapshot: a copy of a running server's data folder.

import EscapementClient
import Foundation

extension Command {
  static let snapshot = Command(
    name: "snapshot", positional: ["DIR"],
    summary: """
      Have a running server copy its data folder into the new folder DIR.
      DIR is on the server's machine; on the same file system most of it is links. To restore it, serve it: --data DIR.
      """,
    options: connectionOptions
  ) { options in
    let folder = URL(fileURLWithPath: options.arguments[0]).standardizedFileURL.path
    return try await Session.run(options) { client in
      let receipt = try await client.snapshot(folder: folder)
      Output.line(try Output.json(receipt))
      return 0
    }
  }
}
