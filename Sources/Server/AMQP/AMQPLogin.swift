// Whether a client may come in: the one place where names and passwords of AMQP clients are checked.

import AMQPProtocol
import Platform

enum AMQPLogin {
  /// Whether name and password are good. Where the server asks for tokens, the password must be one of them, whatever the
  /// name; else `guest` comes in with the password `guest`, from this machine only.
  static func admits(_ credentials: Credentials, from peer: PeerAddress, _ settings: ServerSettings) -> Bool {
    if !settings.tokens.isEmpty {
      return settings.tokens.contains { $0.utf8.elementsEqual(credentials.password) }
    }
    return peer.isLoopback && credentials.user.elementsEqual("guest".utf8)
      && credentials.password.elementsEqual("guest".utf8)
  }
}
