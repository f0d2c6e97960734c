// Connections come, send, get, and go.

import Broker
import LineProtocol
import Platform
import Primitives

extension Server {
  // MARK: Coming

  func acceptConnections() {
    // A bounded number a turn, so that a storm of connections does not hold up those that are here.
    for _ in 0..<64 {
      switch Socket.accept(listener) {
      case .connection(let descriptor): adopt(descriptor)
      case .none: return
      case .exhausted(let number):
        log("no descriptor for a new connection (error \(number)); new ones wait until one closes")
        // Else the loop would be told of it for ever.
        isAcceptingPaused = (try? epoll.remove(listener)) != nil
        return
      case .failed(let number):
        log("accept failed with error \(number)")
        return
      }
    }
  }

  private func adopt(_ descriptor: Int32) {
    guard connections.count < settings.connectionsMax, !isStopping else {
      counters.connectionsRefused += 1
      var line = ByteBuffer(capacity: 128)
      let text = "there are \(connections.count) connections, and no more are allowed"
      line.appendRefusal(Refusal(code: .busy, message: text), rid: nil)
      _ = Socket.write(descriptor, line.readable)
      return Socket.close(descriptor)
    }
    let connection = Connection(
      descriptor: descriptor, key: nextKey, lineBytesMax: settings.lineBytesMax,
      isAuthenticated: settings.tokens.isEmpty)
    nextKey += 1
    do throws(SystemError) {
      try epoll.add(descriptor, generation: UInt32(truncatingIfNeeded: connection.key), .readable)
    } catch {
      log("a connection could not be watched: \(error)")
      return Socket.close(descriptor)
    }
    connections[descriptor] = connection
    connectionByKey[connection.key] = connection
    counters.connectionsAccepted += 1
  }

  // MARK: Receiving

  func receive(_ connection: Connection) {
    guard !connection.isClosing else { return discardInput(connection) }
    switch Socket.read(connection.descriptor, into: readBuffer) {
    case .bytes(let count):
      counters.bytesReceived &+= UInt64(count)
      connection.framer.append(UnsafeRawBufferPointer(rebasing: readBuffer[..<count]))
      takeLines(connection)
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
    switch Socket.read(connection.descriptor, into: readBuffer) {
    case .bytes(let count):
      connection.discardedBytes += count
      if connection.discardedBytes > settings.lineBytesMax * 4 { drop(connection) }
    case .wouldBlock: return
    case .closed, .failed: drop(connection)
    }
  }

  /// Takes lines until there are no more, one waits for the disk, or the connection must be held back.
  func takeLines(_ connection: Connection) {
    while !connection.isBlocked, !connection.isClosing, !connection.isGone {
      if mustHoldBack(connection) { return holdBack(connection) }
      switch connection.framer.next() {
      case .line(let line):
        if !RequestReader.isBlank(line) { perform(line, connection) }
      case .needsMore:
        if connection.framer.bufferedBytes == 0 { connection.framer.shrink(keepingBytes: 0) }
        if connection.inputEnded { endInput(connection) }
        return
      case .tooLong:
        let text = "a line is longer than \(settings.lineBytesMax) bytes"
        refuseAndClose(connection, Refusal(code: .lineTooLong, message: text))
      }
    }
    updateInterest(connection)
  }

  private func mustHoldBack(_ connection: Connection) -> Bool {
    engine.isBackedUp(settings.inFlightBytesMax) || connection.out.count > settings.unsentBytesMax
  }

  private func holdBack(_ connection: Connection) {
    connection.isReadingPaused = true
    if connection.out.count <= settings.unsentBytesMax { heldBack.append(connection) }
    updateInterest(connection)
  }

  private func endInput(_ connection: Connection) {
    guard !connection.isBlocked, !connection.isReadingPaused else { return updateInterest(connection) }
    releaseConsumers(connection)
    connection.isClosing = true
    touch(connection)
    updateInterest(connection)
  }

  // MARK: Sending

  func send(_ connection: Connection) {
    while true {
      let bytes = connection.readyBytes
      guard bytes.count > 0 else { break }
      switch Socket.write(connection.descriptor, bytes) {
      case .bytes(let count):
        counters.bytesSent &+= UInt64(count)
        connection.didSend(count)
      case .wouldBlock:
        connection.wantsWrite = true
        return afterSending(connection)
      case .closed, .failed: return drop(connection)
      }
    }
    connection.wantsWrite = false
    if connection.isClosing, connection.out.isEmpty, !connection.hasBarriers {
      if connection.inputEnded { return drop(connection) }
      Socket.finishWriting(connection.descriptor)
    }
    afterSending(connection)
  }

  private func afterSending(_ connection: Connection) {
    let unsent = connection.out.count
    if unsent > settings.unsentBytesMax / 2, !connection.isDeliveryPaused {
      pauseDeliveries(connection, true)
    } else if connection.isDeliveryPaused, unsent < settings.unsentBytesMax / 4 {
      pauseDeliveries(connection, false)
    }
    if connection.isReadingPaused, unsent < settings.unsentBytesMax / 2,
      !heldBack.contains(where: { $0 === connection })
    {
      heldBack.append(connection)
    }
    updateInterest(connection)
  }

  private func pauseDeliveries(_ connection: Connection, _ isPaused: Bool) {
    connection.isDeliveryPaused = isPaused
    for consumer in connection.consumers.values { broker.setPaused(consumer, isPaused) }
  }

  func updateInterest(_ connection: Connection) {
    guard !connection.isGone else { return }
    var interest: Readiness = []
    let isWaiting = connection.isReadingPaused || connection.isBlocked
    if !isWaiting, !connection.inputEnded { interest.insert(.readable) }
    if connection.wantsWrite { interest.insert(.writable) }
    guard interest != connection.interest else { return }
    connection.interest = interest
    do throws(SystemError) {
      try epoll.modify(
        connection.descriptor, generation: UInt32(truncatingIfNeeded: connection.key), interest)
    } catch {
      log("a connection could not be watched: \(error)")
      drop(connection)
    }
  }

  // MARK: Going

  /// Says why and closes once that is sent.
  func refuseAndClose(_ connection: Connection, _ refusal: Refusal) {
    counters.refusals += 1
    connection.out.appendRefusal(refusal, rid: nil)
    releaseConsumers(connection)
    connection.isClosing = true
    touch(connection)
  }

  /// Closes at once. What was delivered here goes to others.
  func drop(_ connection: Connection) {
    guard !connection.isGone else { return }
    connection.isGone = true
    releaseConsumers(connection)
    broker.forgetColdReads(connection.key)
    connections[connection.descriptor] = nil
    connectionByKey[connection.key] = nil
    // Closing takes the descriptor out of the epoll set.
    Socket.close(connection.descriptor)
    if isAcceptingPaused, (try? epoll.add(listener, generation: 0, .readable)) != nil { isAcceptingPaused = false }
  }

  func releaseConsumers(_ connection: Connection) {
    for consumer in connection.consumers.values { broker.remove(consumer) }
    for consumer in connection.fetchers { broker.remove(consumer) }
    if let session = connection.rocketMQ { rocketMQ.end(session, connection: connection.key) }
    connection.rocketMQ = nil
    connection.consumers = [:]
    connection.fetchers = []
    rabbitMQConnectionEnded(connection)
    connection.fetchRids = [:]
    connection.blockingFetch = nil
  }

  func forget(_ consumer: Consumer, _ connection: Connection) {
    if consumer.topic.isQueue { forgetRabbitMQ(consumer, connection) }
    if consumer.kind == .fetcher {
      connection.fetchers.removeAll { $0 === consumer }
    } else {
      connection.consumers[consumer.sub] = nil
      connection.rocketMQ?.remove(sub: consumer.sub)
      if consumer.topic.isQueue { return }
      EventWriter.ended(consumer, to: &connection.out)
      touch(connection)
    }
  }

  /// Answers what waits for something that will not come.
  func refuseWaiting(_ connection: Connection, _ code: WireError) {
    let refusal = Refusal(
      code: code, message: code == .shuttingDown ? "the server is stopping" : "the store has failed; restart the server"
    )
    if let line = connection.blocked {
      connection.blocked = nil
      line.withUnsafeBytes { bytes in
        guard (try? reader.parse(bytes)) != nil else { return }
        connection.out.appendRefusal(refusal, rid: (try? reader.rid()) ?? nil)
      }
    }
    for rid in connection.fetchRids.values {
      rid.withUnsafeBytes { connection.out.appendRefusal(refusal, rid: $0.isEmpty ? nil : $0) }
    }
    connection.fetchRids = [:]
    connection.blockingFetch = nil
    // What came behind it is answered in the next turn.
    if !isStopping { heldBack.append(connection) }
    touch(connection)
  }
}
