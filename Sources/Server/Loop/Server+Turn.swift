// One turn of the loop: wait, take back finished disk work, read and apply, let the broker release and serve, hand over the
// records, show what happened, send what is settled.

import Broker
import Platform
import Primitives

extension Server {
  package func turn() throws(SystemError) {
    let count = try network.wait(timeoutNs: withAliveness(untilLogTurn(waitNs())))
    tellAlive()
    if let turnLog = surroundings.turnLog {
      // Its outcome is good for a moment only: what there is to do comes with the turn at the end.
      _ = turnLog()
      // Whoever owns the log looks after this.
      if engine.log.failure != nil { return }
    }
    services.counters.turns += 1
    turnUs = surroundings.clock.bootNs() / 1000
    handshakesRemaining = Self.handshakesPerTurn
    let io = surroundings.io
    let sequence = engine.turn(
      nowNs: serviceNs(), finished: io.takeFinished, isWaitingForSpace: io.isWaitingForSpace
    ) {
      services.virtualHosts.deleteIdleQueues()
      watchMemory()
      surroundings.takeMail?()
      for place in 0..<count { handle(network.event(place)) }
      if let acceptsAgainMs, acceptsAgainMs <= broker.nowMs { resumeAccepting() }
      wakeSessions()
      tellMembers()
      giveRetries()
      goOnWithHeldBack()
      let settled = engine.log.settledSequence
      return touched.contains { $0.output.turnGate.sequence > settled }
    }
    show(broker.effects, sequence)
    tellWhetherMessagesAreRefused()
    endTurnOfSessions()
    if broker.failure != nil { reportFailure(sequence) }
    if let turnLog = surroundings.turnLog { nextLogTurn = turnLog() }
    flush(sequence)
  }

  /// How long to wait that a log without a thread has nothing to do either.
  private func untilLogTurn(_ waitNs: Int64) -> Int64 {
    switch nextLogTurn {
    case .now: 0
    case .after(let ns): waitNs < 0 ? ns : min(ns, waitNs)
    case .whenWoken, .finished: waitNs
    }
  }

  private func serviceNs() -> Int64 {
    services.clock.now(bootNs: surroundings.clock.bootNs(), wallNs: surroundings.clock.wallNs())
  }

  /// How long there is nothing to do: 0 while work remains, -1 for ever.
  private func waitNs() -> Int64 {
    // A start may have found something to do: old segments, queues that are too long.
    if !retries.isEmpty || hasReadyHeldBack || services.rocketMQ.groups.hasChanges || services.counters.turns == 0 {
      return 0
    }
    let memoryMs = broker.isMemoryFull ? nextMemoryLookMs : nil
    guard let wakeMs = [engine.nextWakeUpMs, wakeUps.nextMs, acceptsAgainMs, memoryMs].compactMap({ $0 }).min() else {
      return -1
    }
    if wakeMs <= broker.nowMs { return 0 }
    let wakeNs = wakeMs.multipliedReportingOverflow(by: TimeUnits.nsPerMs)
    if wakeNs.overflow { return -1 }
    let nowNs = serviceNs()
    // While service time waits for the wall clock there is nothing to calculate with: look again soon.
    return services.clock.isWaiting ? TimeUnits.nsPerMs * 10 : max(0, wakeNs.partialValue - nowNs)
  }

  private func handle(_ event: NetworkEvent) {
    switch event {
    case .stop: services.isStopping = true
    case .reload: reload()
    case .ready(let event):
      if let connection = connections[event.descriptor] {
        if connection.generation == event.generation { handle(event.readiness, connection) }
      } else if let listener = listeners.first(where: { $0.descriptor == event.descriptor }) {
        acceptConnections(listener)
      }
    }
  }

  private func handle(_ readiness: Readiness, _ connection: Connection) {
    if !readiness.isDisjoint(with: [.error, .hangUp]) { return drop(connection) }
    if readiness.contains(.writable) { touch(connection) }
    if readiness.contains(.readable) { receive(connection) }
  }

  private func wakeSessions() {
    guard let nextMs = wakeUps.nextMs, nextMs <= broker.nowMs else { return }
    for key in wakeUps.due(nowMs: broker.nowMs) {
      guard let connection = connectionByKey[key] else { continue }
      connection.wakeUp = nil
      if connection.secure?.openByMs != nil {
        giveUpHandshake(connection)
        continue
      }
      connection.output.wakeUpMs = nil
      connection.session.any.wakeUp(nowMs: broker.nowMs)
      touch(connection)
    }
  }

  /// Tells RocketMQ consumers that the members of their groups have changed.
  private func tellMembers() {
    guard services.rocketMQ.groups.hasChanges else { return }
    for (key, group) in services.rocketMQ.groups.takeChanges() {
      guard let connection = connectionByKey[key], case .remoting(let session) = connection.session else { continue }
      session.membersChanged(group)
      touch(connection)
    }
  }

  // MARK: Commands that waited

  private func giveRetries() {
    let keys = retries
    retries.removeAll(keepingCapacity: true)
    for key in keys {
      guard let connection = connectionByKey[key] else {
        broker.forgetColdReads(key)
        continue
      }
      connection.session.any.retry()
      takeCommands(connection)
    }
  }

  private var hasReadyHeldBack: Bool { !heldBack.isEmpty && !engine.isBackedUp(settings.inFlightBytesMax) }

  private func goOnWithHeldBack() {
    guard hasReadyHeldBack else { return }
    let waiting = heldBack
    heldBack.removeAll(keepingCapacity: true)
    for connection in waiting where !connection.isGone {
      connection.isHeldBack = false
      connection.isReadingPaused = false
      takeCommands(connection)
      updateInterest(connection)
    }
  }

  /// Lets a connection go on in the next turn, or as soon as the journal has caught up.
  func holdBack(_ connection: Connection) {
    guard !connection.isHeldBack else { return }
    connection.isHeldBack = true
    heldBack.append(connection)
  }

  // MARK: What the turn has brought

  private func endTurnOfSessions() {
    for connection in touched where !connection.isGone { connection.session.turnEnds() }
  }

  private func tellWhetherMessagesAreRefused() {
    guard isRefusingMessages != broker.refusesMessages else { return }
    isRefusingMessages = broker.refusesMessages
    for connection in connections.values {
      connection.session.any.newMessagesAreRefused(isRefusingMessages)
      touch(connection)
    }
  }

  /// Tells everybody whose reply will never be true.
  private func reportFailure(_ sequence: Sequence) {
    guard let failure = broker.failure else { return }
    if !hasReportedFailure {
      hasReportedFailure = true
      log(.error, "store_failed", "the store has failed and nothing is accepted any more: \(failure)")
    }
    let settled = engine.log.settledSequence
    for connection in connections.values {
      let output = connection.output
      guard output.isGated(settled: settled) || connection.session.any.hasUnanswered else { continue }
      output.resolveEndOfTurn(sequence)
      output.closeTurn(settled: settled, turnUs: turnUs)
      output.open(settled: settled, nowUs: turnUs, &services.counters.replyUs)
      connection.session.any.storeFailed(output.takeLost(), because: failure)
      touch(connection)
    }
  }
}
