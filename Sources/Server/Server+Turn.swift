// One turn of the loop: wait, take back finished disk work, read and apply, let the broker release and serve, hand over the
// records, send what is settled.

import Broker
import LineProtocol
import Platform
import Primitives

extension Server {
  func turn() throws(SystemError) {
    let count = try epoll.wait(timeoutNs: waitNs())
    counters.turns += 1
    engine.beginTurn(nowNs: clock.now(bootNs: SystemClock.bootNs(), wallNs: SystemClock.wallNs()))
    rabbitMQ.deleteIdleQueues()
    // The signal first: a task that finishes between the two must raise it again.
    for place in 0..<count where epoll[place].descriptor == notify.descriptor { notify.clear() }
    takeFinishedTasks()
    for place in 0..<count { handle(epoll[place]) }
    giveRetries()
    goOnWithHeldBack()
    let sequence = engine.endTurn(mustSync: turnMustSync)
    turnMustSync = false
    perform(broker.effects, sequence)
    if broker.failure != nil { reportFailure() }
    flush()
  }

  /// How long there is nothing to do: 0 while work is left over, -1 for ever.
  private func waitNs() -> Int64 {
    // A start may have left something to do: old segments, queues that are too long.
    if !retries.isEmpty || hasReadyHeldBack || counters.turns == 0 { return 0 }
    guard let wakeMs = engine.nextWakeUpMs else { return -1 }
    if wakeMs <= broker.nowMs { return 0 }
    let wakeNs = wakeMs.multipliedReportingOverflow(by: TimeUnits.nsPerMs)
    if wakeNs.overflow { return -1 }
    let nowNs = clock.now(bootNs: SystemClock.bootNs(), wallNs: SystemClock.wallNs())
    // While service time waits for the wall clock there is nothing to calculate with: look again soon.
    return clock.isWaiting ? TimeUnits.nsPerMs * 10 : max(0, wakeNs.partialValue - nowNs)
  }

  private func takeFinishedTasks() {
    for task in io.takeFinished() { engine.finish(task) }
    if io.isWaitingForSpace { broker.isDiskFull = true }
  }

  private func handle(_ event: ReadyEvent) {
    switch event.descriptor {
    case listener: acceptConnections()
    case notify.descriptor: break
    case clockWatch.descriptor: clockWatch.clear()
    case signals.descriptor:
      while let signal = signals.next() {
        if signal == .hangUp { continue }
        isStopping = true
      }
    default:
      guard let connection = connections[event.descriptor],
        UInt32(truncatingIfNeeded: connection.key) == event.generation
      else { return }
      if !event.readiness.isDisjoint(with: [.error, .hangUp]) { return drop(connection) }
      if event.readiness.contains(.writable) { touch(connection) }
      if event.readiness.contains(.readable) { receive(connection) }
    }
  }

  // MARK: Commands that waited

  private func giveRetries() {
    let keys = retries
    retries.removeAll(keepingCapacity: true)
    for key in keys {
      guard let connection = connectionByKey[key], let line = connection.blocked else {
        broker.forgetColdReads(key)
        continue
      }
      connection.blocked = nil
      line.withUnsafeBytes { perform($0, connection) }
      takeLines(connection)
    }
  }

  private var hasReadyHeldBack: Bool { !heldBack.isEmpty && !engine.isBackedUp(settings.inFlightBytesMax) }

  private func goOnWithHeldBack() {
    guard hasReadyHeldBack else { return }
    let waiting = heldBack
    heldBack.removeAll(keepingCapacity: true)
    for connection in waiting where !connection.isGone {
      connection.isReadingPaused = false
      takeLines(connection)
      updateInterest(connection)
    }
  }

  // MARK: Effects

  private func perform(_ effects: [Effect], _ sequence: Sequence) {
    for connection in touched where connection.turnGate == .endOfTurn { connection.turnGate = Gate(sequence) }
    for effect in effects {
      switch effect {
      case .deliver(let delivery):
        guard let connection = connectionByKey[delivery.consumer.connection] else { continue }
        gate(connection, delivery.waitsForItsEnd ? sequence : delivery.consumer.topic.appendSequence)
        if delivery.consumer.topic.isQueue {
          writeRabbitMQ(delivery, connection)
        } else if delivery.consumer.frontEnd == 0 {
          EventWriter.message(delivery, to: &connection.out)
        } else {
          writeForeign(delivery, connection)
        }
        touch(connection)
      case .notice(let notice): perform(notice, sequence)
      }
    }
  }

  private func perform(_ notice: Notice, _ sequence: Sequence) {
    switch notice {
    case .retry(let key): retries.append(key)
    case .heldCheck(let number): askProducer(about: number)
    case .fetched(let consumer, let token, let deliveries):
      guard let connection = connectionByKey[consumer.connection] else { return }
      let shown = deliveries.contains(where: \.waitsForItsEnd) ? sequence : consumer.topic.appendSequence
      if !deliveries.isEmpty { gate(connection, shown) }
      answerFetch(connection, consumer, token, deliveries)
    case .truncated(let consumer, let from, let to):
      guard let connection = connectionByKey[consumer.connection], consumer.kind != .fetcher else { return }
      EventWriter.truncated(consumer, from: from, to: to, to: &connection.out)
      touch(connection)
    case .ended(let consumer):
      guard let connection = connectionByKey[consumer.connection] else { return }
      forget(consumer, connection)
    }
  }

  func gate(_ connection: Connection, _ sequence: Sequence) {
    connection.turnGate = max(connection.turnGate, Gate(sequence))
  }

  // MARK: Sending

  func touch(_ connection: Connection) {
    guard !connection.isTouched else { return }
    connection.isTouched = true
    touched.append(connection)
  }

  private func flush() {
    let settled = engine.commit.settledSequence
    for connection in gated { touch(connection) }
    gated.removeAll(keepingCapacity: true)
    let work = touched
    touched.removeAll(keepingCapacity: true)
    for connection in work {
      connection.isTouched = false
      if connection.isGone { continue }
      connection.closeTurn(settled: settled)
      connection.open(settled: settled)
      send(connection)
      if connection.hasBarriers, !connection.isGone { gated.append(connection) }
    }
  }

  // MARK: Failure

  /// Tells everybody whose reply will never be true.
  private func reportFailure() {
    guard let failure = broker.failure else { return }
    if !hasReportedFailure {
      hasReportedFailure = true
      log("the store has failed and nothing is accepted any more: \(failure)")
    }
    let settled = engine.commit.settledSequence
    for connection in connections.values where connection.hasBarriers || connection.turnGate.sequence > settled {
      connection.closeTurn(settled: settled)
      connection.open(settled: settled)
      refuseGated(connection, failure)
    }
    for connection in connections.values where connection.isBlocked || !connection.fetchRids.isEmpty {
      refuseWaiting(connection, .storageFailed)
    }
  }

  /// Replaces replies that promised what did not become durable; drops deliveries of releases that did not.
  private func refuseGated(_ connection: Connection, _ failure: StorageError) {
    let gated = connection.takeGatedBytes()
    let refusal = Refusal(code: .storageFailed, message: "the store failed before this was durable: \(failure)")
    gated.withUnsafeBytes { bytes in
      for line in bytes.split(separator: UInt8(ascii: "\n")) {
        let line = UnsafeRawBufferPointer(rebasing: line)
        guard (try? reader.parse(line)) != nil, let rid = EventWriter.ridOfReply(line, reader) else { continue }
        connection.out.appendRefusal(refusal, rid: rid.isEmpty ? nil : rid)
      }
    }
    touch(connection)
  }
}
