// Connections get what may be sent, are slowed down when they do not read, and go.

import Platform
import Primitives

extension Server {
  /// Looks after a connection at the end of this turn.
  func touch(_ connection: Connection) {
    guard !connection.isTouched else { return }
    connection.isTouched = true
    touched.append(connection)
  }

  /// Sends what may be sent on every connection that the turn has to do with.
  func flush(_ sequence: Sequence) {
    let settled = engine.log.settledSequence
    let nowUs = surroundings.clock.bootNs() / 1000
    for connection in gated { touch(connection) }
    gated.removeAll(keepingCapacity: true)
    let work = touched
    touched.removeAll(keepingCapacity: true)
    for connection in work {
      connection.isTouched = false
      if connection.isGone { continue }
      let output = connection.output
      if output.closesNow {
        drop(connection)
        continue
      }
      if output.closesWhenSent { endSession(connection) }
      output.resolveEndOfTurn(sequence)
      output.closeTurn(settled: settled, turnUs: turnUs)
      output.open(settled: settled, nowUs: nowUs, &services.counters.replyUs)
      send(connection)
      if connection.isGone { continue }
      if output.hasBarriers { gated.append(connection) }
      wakeUps.follow(connection)
      if connection.isBehindWaiting, !connection.session.isWaiting {
        connection.isBehindWaiting = false
        // What came behind goes on in the next turn: this one has ended.
        holdBack(connection)
      }
    }
  }

  private func send(_ connection: Connection) {
    if let secure = connection.secure { return sendSealed(connection, secure) }
    let output = connection.output
    while true {
      let bytes = output.readyBytes
      guard bytes.count > 0 else { break }
      switch network.write(connection.descriptor, bytes) {
      case .bytes(let count):
        services.counters.bytesSent &+= UInt64(count)
        output.didSend(count)
      case .wouldBlock:
        connection.wantsWrite = true
        return slowDown(connection)
      case .closed, .failed: return drop(connection)
      }
    }
    connection.wantsWrite = false
    if output.closesWhenSent, output.unsentBytes == 0, !output.hasBarriers {
      if connection.inputEnded { return drop(connection) }
      network.finishWriting(connection.descriptor)
    }
    slowDown(connection)
  }

  /// Stops or resumes deliveries and commands, as the bytes that wait to be sent demand.
  func slowDown(_ connection: Connection) {
    let unsent = connection.output.unsentBytes
    if unsent > settings.unsentBytesMax / 2, !connection.isDeliveryPaused {
      pauseDeliveries(connection, true)
    } else if connection.isDeliveryPaused, unsent < settings.unsentBytesMax / 4 {
      pauseDeliveries(connection, false)
    }
    if connection.isReadingPaused, unsent < settings.unsentBytesMax / 2 { holdBack(connection) }
    updateInterest(connection)
  }

  private func pauseDeliveries(_ connection: Connection, _ isPaused: Bool) {
    connection.isDeliveryPaused = isPaused
    connection.session.any.setDeliveriesPaused(isPaused)
  }

  // MARK: Going

  /// Lets the session go of what it has: what was delivered here goes to others. The connection may still send.
  func endSession(_ connection: Connection) {
    guard !connection.hasEnded else { return }
    connection.hasEnded = true
    connection.session.any.end()
  }

  /// Closes at once.
  func drop(_ connection: Connection) {
    guard !connection.isGone else { return }
    connection.isGone = true
    endSession(connection)
    broker.forgetColdReads(connection.key)
    wakeUps.stop(connection)
    connections[connection.descriptor] = nil
    connectionByKey[connection.key] = nil
    let others = connectionsByPeer[connection.peer, default: 1] - 1
    connectionsByPeer[connection.peer] = others == 0 ? nil : others
    services.counters.connections -= 1
    network.close(connection.descriptor)
    resumeAccepting()
  }
}
