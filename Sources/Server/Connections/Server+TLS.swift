// Connections with TLS: what comes is opened before their sessions get it, what they write is sealed before it is sent.
//
// Holds: a session notices nothing of it. Before the handshake is done nothing is given to it and nothing is sent of it. Of all
// that comes, one read of the socket is opened in a turn, and all of it: sealed bytes that are kept here announce themselves no
// more.
// Leaves to others: TLS itself (TLSChannel), gates and bounds, which are the same for all connections.

import Platform
import Primitives
import TLS

extension Server {
  /// A signature with an RSA key of 2 048 bits takes 0.2 ms of the loop, ten times as much as one with ECDSA: a storm of new
  /// clients must not hold up those that are here.
  static let handshakesPerTurn = 4

  /// The TLS of a new connection; nil when it is plain.
  func makeSecureSide() throws(TLSError) -> SecureSide? {
    guard let tls else { return nil }
    return SecureSide(try TLSChannel(serverOf: tls), openByMs: broker.nowMs + settings.handshakeTimeoutMs)
  }

  // MARK: Receiving

  func receiveSealed(_ connection: Connection, _ secure: SecureSide) {
    if secure.openByMs != nil {
      // The network says it again in the next turn.
      guard handshakesRemaining > 0 else { return }
      handshakesRemaining -= 1
    }
    switch network.read(connection.descriptor, into: readBuffer) {
    case .bytes(let count):
      services.counters.bytesReceived &+= UInt64(count)
      secure.channel.feed(UnsafeRawBufferPointer(rebasing: readBuffer[..<count]))
    case .wouldBlock: return
    case .closed:
      guard secure.openByMs == nil else { return handshakeFailed(connection, "the client has closed") }
      connection.inputEnded = true
      return endInput(connection)
    case .failed: return drop(connection)
    }
    touch(connection)
    if secure.openByMs != nil, !goOnWithHandshake(connection, secure) { return }
    if openInput(connection, secure) { takeCommands(connection) }
  }

  /// Whether it is done.
  private func goOnWithHandshake(_ connection: Connection, _ secure: SecureSide) -> Bool {
    switch secure.channel.handshake() {
    case .needsMore: return false
    case .bytes:
      secure.openByMs = nil
      services.counters.handshakes += 1
      return true
    case .ended:
      handshakeFailed(connection, "the client has ended it")
      return false
    case .failed(let reason):
      handshakeFailed(connection, reason)
      return false
    }
  }

  /// The time for its handshake is over.
  func giveUpHandshake(_ connection: Connection) {
    services.counters.connectionsTimedOut += 1
    handshakeFailed(connection, "it was not done in \(settings.handshakeTimeoutMs) ms")
  }

  private func handshakeFailed(_ connection: Connection, _ reason: String) {
    services.counters.handshakesFailed += 1
    log(.info, "handshake_failed", "the handshake of TLS with \(connection.peer) failed: \(reason)")
    dropWithAlert(connection)
  }

  /// Gives all that has come to the session; false when the connection is gone.
  private func openInput(_ connection: Connection, _ secure: SecureSide) -> Bool {
    while true {
      switch secure.channel.read(into: readBuffer) {
      case .bytes(let count): connection.session.receive(UnsafeRawBufferPointer(rebasing: readBuffer[..<count]))
      case .needsMore: return true
      case .ended:
        connection.inputEnded = true
        return true
      case .failed:
        dropWithAlert(connection)
        return false
      }
    }
  }

  /// Closes at once, and says why where the socket takes it.
  private func dropWithAlert(_ connection: Connection) {
    if let sealed = connection.secure?.sealed, !sealed.isEmpty { _ = network.write(connection.descriptor, sealed) }
    drop(connection)
  }

  // MARK: Sending

  func sendSealed(_ connection: Connection, _ secure: SecureSide) {
    let output = connection.output
    while sendWhatIsSealed(connection, secure) {
      let bytes = output.readyBytes
      guard secure.openByMs == nil, !bytes.isEmpty else {
        connection.wantsWrite = false
        return finishIfSent(connection, secure)
      }
      guard
        case .bytes(let count) = secure.channel.write(
          UnsafeRawBufferPointer(rebasing: bytes.prefix(SecureSide.pieceBytes)))
      else { return drop(connection) }
      output.didSend(count)
    }
  }

  /// False when the socket takes no more, or the connection is gone.
  private func sendWhatIsSealed(_ connection: Connection, _ secure: SecureSide) -> Bool {
    while true {
      let sealed = secure.sealed
      if sealed.isEmpty { return true }
      switch network.write(connection.descriptor, sealed) {
      case .bytes(let count):
        services.counters.bytesSent &+= UInt64(count)
        secure.didSend(count)
      case .wouldBlock:
        connection.wantsWrite = true
        slowDown(connection)
        return false
      case .closed, .failed:
        drop(connection)
        return false
      }
    }
  }

  private func finishIfSent(_ connection: Connection, _ secure: SecureSide) {
    let output = connection.output
    if secure.openByMs == nil, output.closesWhenSent, output.unsentBytes == 0, !output.hasBarriers {
      secure.channel.finish()
      guard sendWhatIsSealed(connection, secure) else { return }
      if connection.inputEnded { return drop(connection) }
      network.finishWriting(connection.descriptor)
    }
    slowDown(connection)
  }

  /// Sends what may be sent before the server ends, without waiting for a slow client.
  func sendLastSealed(_ connection: Connection, _ secure: SecureSide) {
    guard secure.openByMs == nil else { return }
    _ = secure.channel.write(connection.output.readyBytes)
    secure.channel.finish()
    while true {
      let sealed = secure.sealed
      guard !sealed.isEmpty, case .bytes(let count) = network.write(connection.descriptor, sealed) else { return }
      secure.didSend(count)
    }
  }
}
