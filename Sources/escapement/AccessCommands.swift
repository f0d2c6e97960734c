// access add, access remove, access list: who may use a server.
//
// Leaves to others: the file (Access), when a running server looks at it again (on SIGHUP).

import Access
import Foundation
import Platform

extension Command {
  private static let accessFile = Option.value(
    "access", "FILE", "the access file; or set ESCAPEMENT_ACCESS", standard: "./escapement-access")

  static let accessAdd = Command(
    name: "access add", positional: ["NAME"],
    summary: """
      Let somebody use a server: add an entry to the access file and print its secret, once.
      GRANT is RIGHT[,RIGHT...]:[KIND:]PATTERN, such as schedule,cancel:orders.* or consume:queue:mail.
      Rights: schedule, consume, cancel, inspect, admin, or all. Kinds: topic, queue, exchange, group; without one, all four.
      A * stands for any part of a name. A running server reads the file again on SIGHUP.
      """,
    options: [.value("allow", "GRANT", "what it may do", repeats: true), accessFile]
  ) { options in
    let grants = try accessAttempt { () throws(AccessError) in
      var grants: [Grant] = []
      for text in options.texts("allow") { grants.append(try Grant(text)) }
      return grants
    }
    let secret = Secret.make(SystemRandom.fill)
    try accessAttempt { () throws(AccessError) in
      try AccessFile.edit(path: path(options), makes: true) { (file) throws(AccessError) in
        try file.add(name: options.arguments[0], secret: SecretHash(of: secret), grants: grants)
      }
    }
    Output.line(secret)
    return 0
  }

  static let accessRemove = Command(
    name: "access remove", positional: ["NAME"],
    summary: "Let somebody use a server no more: take an entry out of the access file.", options: [accessFile]
  ) { options in
    try accessAttempt { () throws(AccessError) in
      try AccessFile.edit(path: path(options), makes: false) { (file) throws(AccessError) in
        try file.remove(name: options.arguments[0])
      }
    }
    return 0
  }

  static let accessList = Command(
    name: "access list", summary: "Print the entries of the access file: who may do what.", options: [accessFile]
  ) { options in
    for entry in try accessAttempt({ () throws(AccessError) in try AccessFile(path: path(options)) }).entries {
      Output.line(([entry.identity.name] + entry.identity.grants.map(\.text)).joined(separator: "  "))
    }
    return 0
  }

  private static func path(_ options: CommandLineOptions) -> String {
    options.text("access") ?? ProcessInfo.processInfo.environment["ESCAPEMENT_ACCESS"] ?? accessFile.standard!
  }

  /// A bad name or grant is a mistake of whoever typed it; everything else is a failure.
  private static func accessAttempt<Result>(_ body: () throws(AccessError) -> Result) throws -> Result {
    do {
      return try body()
    } catch {
      switch error {
      case .badGrant(let reason): throw UsageError("--allow: \(reason)")
      case .badName: throw UsageError("\(error)")
      default: throw error
      }
    }
  }
}
