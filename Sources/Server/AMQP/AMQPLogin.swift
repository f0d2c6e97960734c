// Whether a client may come in: the one place where names and passwords of AMQP clients are checked.
//
// Leaves to others: what it may do then (AMQPSession+Rights).

import AMQPProtocol
import Access
import Platform
import Primitives

enum AMQPLogin {
  /// Who has this name and password; nil when nobody has.
  ///
  /// Without an access file and tokens, `guest` comes in with the password `guest`, from this machine only. Where the server
  /// asks for tokens, the password may be one of them, whatever the name.
  static func identity(_ credentials: Credentials, from peer: PeerAddress, _ services: Services) -> Identity? {
    guard services.admission.asksWho else {
      let isGuest =
        credentials.user.elementsEqual("guest".utf8) && credentials.password.elementsEqual("guest".utf8)
      return isGuest && peer.isLoopback ? services.admission.anybody : nil
    }
    return services.admission.identity(name: credentials.user, secret: credentials.password)
      ?? services.admission.identity(showing: credentials.password)
  }
}
