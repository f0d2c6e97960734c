// What commands that talk to a server share: where it is, a client for the time of one command.

import EscapementClient
import Foundation

enum Session {
  static let addressStandard = "127.0.0.1:7611"

  /// Splits `HOST:PORT`, `[V6]:PORT`. Port 0 is for listening only.
  static func address(_ text: String, allowsAnyPort: Bool = false) throws(UsageError) -> (host: String, port: Int) {
    guard let address = ServerAddress(text), address.port > 0 || allowsAnyPort else {
      throw UsageError("'\(text)' is no HOST:PORT")
    }
    return (address.host, address.port)
  }

  /// Where the server is, or nodes of a cluster are.
  private static func addresses(_ text: String) throws(UsageError) -> [ServerAddress] {
    var addresses: [ServerAddress] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let (host, port) = try address(String(part))
      addresses.append(ServerAddress(host: host, port: port))
    }
    return addresses
  }

  static func client(
    _ options: CommandLineOptions, reconnect: ReconnectBackoff?, onEvent: (@Sendable (ConnectionEvent) -> Void)?
  ) throws(UsageError) -> EscapementClient {
    let environment = ProcessInfo.processInfo.environment
    let addresses = try addresses(options.text("server") ?? environment["ESCAPEMENT_SERVER"] ?? addressStandard)
    let token = options.text("token") ?? environment["ESCAPEMENT_TOKEN"]
    let authorities = options.text("tls-ca") ?? environment["ESCAPEMENT_TLS_CA"]
    let isSecure =
      options.has("tls") || authorities != nil || options.has("tls-client-cert")
      || environment["ESCAPEMENT_TLS"] == "on"
    return EscapementClient(
      addresses: addresses,
      configuration: Configuration(
        token: token,
        tls: isSecure
          ? TLSConfiguration(authorities: authorities, certificate: options.text("tls-client-cert")) : nil,
        clientName: "escapement \(Program.version)", reconnect: reconnect, onEvent: onEvent))
  }

  /// Connects, does `body`, and closes whatever happens.
  static func run<Result>(
    _ options: CommandLineOptions, reconnect: ReconnectBackoff? = nil,
    onEvent: (@Sendable (ConnectionEvent) -> Void)? = nil, _ body: (EscapementClient) async throws -> Result
  ) async throws -> Result {
    let client = try client(options, reconnect: reconnect, onEvent: onEvent)
    try await client.connect()
    do {
      let result = try await body(client)
      await client.close()
      return result
    } catch {
      await client.close()
      throw error
    }
  }
}
