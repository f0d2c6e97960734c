// Connections come, send, and wait for their turn.

import Access
import Platform
import Primitives
import TLS

extension Server {
  // MARK: Coming

  func acceptConnections(_ listener: Listener) {
    // A bounded number a turn, so that a storm of connections does not hold up those that are here.
    for _ in 0..<64 {
      switch network.accept(listener.descriptor) {
      case .connection(let descriptor): adopt(descriptor, listener.wire, network.peer(descriptor))
      case .none: return
      case .exhausted(let number):
        log(
          .warning, "no_descriptors",
          "no descriptor for a new connection (error \(number)); new ones wait for a second, or until one closes")
        return pauseAccepting()
      case .failed(let number):
        log(.warning, "accept_failed", "accept failed with error \(number)")
        return
      }
    }
  }

  /// Else the loop would be told of a waiting connection for ever.
  private func pauseAccepting() {
    guard acceptsAgainMs == nil else { return }
    acceptsAgainMs = broker.nowMs + Self.acceptPauseMs
    for listener in listeners { try? network.unwatch(listener.descriptor) }
  }

  func resumeAccepting() {
    guard acceptsAgainMs != nil else { return }
    acceptsAgainMs = nil
    for listener in listeners {
      do throws(SystemError) {
        try network.watch(listener.descriptor, generation: 0, .readable)
      } catch {
        log(.warning, "watch_failed", "port \(listener.port) cannot be watched: \(error)")
        acceptsAgainMs = broker.nowMs + Self.acceptPauseMs
      }
    }
  }

  /// Takes a connection over, which does not block.
  ///
  /// - Parameters:
  ///   - peer: where the client is.
  ///   - identity: who the client is, if somebody knows already; else it must say so where that is asked.
  package func adopt(_ descriptor: Int32, _ wire: Wire, _ peer: PeerAddress, as identity: Identity? = nil) {
    if let reason = reasonToTurnAway(peer) {
      services.counters.connectionsRefused += 1
      log(.warning, "connection_refused", "turned away a connection from \(peer): \(reason)")
      // Without a handshake there is nothing that a client of TLS would understand.
      if tls == nil {
        var bytes = ByteBuffer(capacity: 128)
        wire.turnAway(reason, to: &bytes)
        _ = network.write(descriptor, bytes.readable)
      }
      return network.close(descriptor)
    }
    let secure: SecureSide?
    do throws(TLSError) {
      secure = try makeSecureSide()
    } catch {
      log(.error, "tls_failed", "\(error)")
      return network.close(descriptor)
    }
    let output = Output()
    let session = wire.makeSession(services, output, key: nextKey, peer: peer)
    if case .line(let session) = session, let identity { session.identity = identity }
    let connection = Connection(
      descriptor: descriptor, key: nextKey, peer: peer, session: session, output: output, secure: secure)
    nextKey += 1
    do throws(SystemError) {
      try network.watch(descriptor, generation: connection.generation, .readable)
    } catch {
      log(.warning, "watch_failed", "a connection could not be watched: \(error)")
      return network.close(descriptor)
    }
    connections[descriptor] = connection
    connectionByKey[connection.key] = connection
    connectionsByPeer[peer, default: 0] += 1
    services.counters.connections += 1
    services.counters.connectionsAccepted += 1
    // A session may want to be woken, or have something to say first.
    touch(connection)
  }

  /// Why there is no room for another connection from there; nil when there is.
  private func reasonToTurnAway(_ peer: PeerAddress) -> String? {
    if services.isStopping { return "the server is stopping" }
    if connections.count >= settings.connectionsMax {
      return "there are \(connections.count) connections, and no more are allowed"
    }
    guard connectionsByPeer[peer, default: 0] >= settings.connectionsPerAddressMax else { return nil }
    return "there are \(settings.connectionsPerAddressMax) connections from \(peer), and no more are allowed"
  }

  // MARK: Receiving

  func receive(_ connection: Connection) {
    guard !connection.output.closesWhenSent else { return discardInput(connection) }
    if let secure = connection.secure { return receiveSealed(connection, secure) }
    switch network.read(connection.descriptor, into: readBuffer) {
    case .bytes(let count):
      services.counters.bytesReceived &+= UInt64(count)
      connection.session.receive(UnsafeRawBufferPointer(rebasing: readBuffer[..<count]))
      takeCommands(connection)
    case .wouldBlock: return
    case .closed:
      connection.inputEnded = true
      endInput(connection)
    case .failed: drop(connection)
    }
  }

  /// After the last reply has gone out, what still comes is thrown away: closing with unread bytes would reset the
  /// connection and could take the reply with it. But not for ever.
  private func discardInput(_ connection: Connection) {
    switch network.read(connection.descriptor, into: readBuffer) {
    case .bytes(let count):
      connection.discardedBytes += count
      if connection.discardedBytes > settings.lineBytesMax * 4 { drop(connection) }
    case .wouldBlock: return
    case .closed, .failed: drop(connection)
    }
  }

  /// Takes commands until there are no more, one waits for the disk, or the connection must be held back.
  func takeCommands(_ connection: Connection) {
    let session = connection.session
    let output = connection.output
    touch(connection)
    connection.isBehindWaiting = false
    while !output.closesWhenSent, !connection.isGone {
      if session.isWaiting {
        connection.isBehindWaiting = true
        break
      }
      if engine.isBackedUp(settings.inFlightBytesMax) || output.unsentBytes > settings.unsentBytesMax {
        connection.isReadingPaused = true
        if output.unsentBytes <= settings.unsentBytesMax { holdBack(connection) }
        break
      }
      if !session.performNext() {
        if connection.inputEnded { endInput(connection) }
        break
      }
    }
    if output.closesWhenSent { endSession(connection) }
    updateInterest(connection)
  }

  /// The peer sends nothing more: what it asked is still answered.
  func endInput(_ connection: Connection) {
    guard !connection.session.isWaiting, !connection.isReadingPaused else { return updateInterest(connection) }
    endSession(connection)
    connection.output.closeWhenSent()
    touch(connection)
    updateInterest(connection)
  }

  func updateInterest(_ connection: Connection) {
    guard !connection.isGone else { return }
    var interest: Readiness = []
    let isWaiting = connection.isReadingPaused || connection.session.isWaiting
    if !isWaiting, !connection.inputEnded { interest.insert(.readable) }
    if connection.wantsWrite { interest.insert(.writable) }
    guard interest != connection.interest else { return }
    connection.interest = interest
    do throws(SystemError) {
      try network.setInterest(connection.descriptor, generation: connection.generation, interest)
    } catch {
      log(.warning, "watch_failed", "a connection could not be watched: \(error)")
      drop(connection)
    }
  }
}
