// The server: one loop thread that owns the broker and all connections.
//
// Holds: nothing that a turn made is sent before its journal records are settled; the loop never waits for a disk; it
// sleeps until there is something to do.
// Leaves to others: what requests mean (the operation table), state (Broker), durability (Engine, and the journal below it).

import Broker
import DataFiles
import DecisionLog
import Engine
import Journal
import LineProtocol
import Platform
import Primitives
import RabbitMQFrontEnd
import RocketMQFrontEnd

/// Why a server does not start.
public struct ServerError: Error, CustomStringConvertible {
  /// What happened and what to do.
  public let description: String
}

/// A server.
public final class Server {
  let settings: ServerSettings
  let engine: Engine
  var broker: Broker { engine.broker }
  let io: ThreadedIOQueue
  let notify: EventSignal
  let signals: ProcessSignals
  let clockWatch: ClockWatch
  @exclusivity(unchecked) var epoll: Epoll
  var clock: ServiceClock
  let listener: Int32
  /// The port that is listened on.
  public let port: UInt16
  let logThread: Thread
  let log: @Sendable (String) -> Void

  let rabbitMQ: RabbitMQ
  var connections: [Int32: Connection] = [:]
  var nextKey: UInt64 = 1
  @exclusivity(unchecked) var connectionByKey: [UInt64: Connection] = [:]
  @exclusivity(unchecked) var touched: [Connection] = []
  var gated: [Connection] = []
  var retries: [UInt64] = []
  /// Connections that have lines but may not go on: the journal is behind, or their own output is.
  var heldBack: [Connection] = []
  @exclusivity(unchecked) var turnMustSync = false
  var nextToken: UInt64 = 1
  let reader = RequestReader()
  let nestedReader = RequestReader()
  let rocketMQ: RocketMQFrontEnd
  let readBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
  var isStopping = false
  /// Whether the listener is left alone because descriptors have run out.
  var isAcceptingPaused = false
  var hasReportedFailure = false
  let startedMs: UnixMs
  @exclusivity(unchecked) var counters = ServerCounters()

  /// Opens the data folder and listens. `log` gets lines for people.
  ///
  /// - Throws: when the folder is in use, damaged or cannot be written, or the address cannot be listened on.
  public init(_ settings: ServerSettings, log: @escaping @Sendable (String) -> Void) throws(ServerError) {
    self.settings = settings
    self.log = log
    do {
      let storage = try DiskStorage(root: settings.dataFolder)
      try storage.lock()
      notify = try EventSignal()
      signals = try ProcessSignals()
      clockWatch = try ClockWatch()
      io = try ThreadedIOQueue(storage, notify: notify, log: log)
      let signals = signals
      io.isInterrupted = {
        while let signal = signals.next() {
          if signal != .hangUp { return true }
        }
        return false
      }
      let opened = try Self.open(storage, io, notify, settings)
      engine = opened.engine
      logThread = opened.thread
      rocketMQ = RocketMQFrontEnd(engine.broker)
      epoll = try Epoll()
      listener = try Socket.listen(host: settings.host, port: settings.port)
      port = Socket.localPort(listener)
      clock = ServiceClock(
        bootNs: SystemClock.bootNs(), wallNs: SystemClock.wallNs(), notBeforeMs: engine.broker.nowMs,
        stepMs: settings.clockStepMs)
      startedMs = engine.broker.nowMs
      rabbitMQ = RabbitMQ(engine.broker)
      try epoll.add(listener, generation: 0, .readable)
      try epoll.add(notify.descriptor, generation: 0, .readable)
      try epoll.add(signals.descriptor, generation: 0, .readable)
      try epoll.add(clockWatch.descriptor, generation: 0, .readable)
    } catch {
      throw ServerError(description: "\(error)" + Self.advice(error))
    }
    rabbitMQ.restore {
      if let failure = io.drain() { broker.fail(failure) }
    }
    reportRecovery()
  }

  deinit { readBuffer.deallocate() }

  /// What to do about a data folder that does not open. The log's errors say more themselves.
  private static func advice(_ error: any Error) -> String {
    guard case .storage(let error)? = error as? EngineError, error.kind == .damaged else {
      return ""
    }
    return "; restore the data folder from a copy (`escapement check` lists all damage)"
  }

  private static func open(
    _ storage: DiskStorage, _ io: ThreadedIOQueue, _ notify: EventSignal, _ settings: ServerSettings
  ) throws -> (engine: Engine, thread: Thread) {
    let wake = try EventSignal()
    var opened: JournalLog?
    let surroundings = EngineSurroundings(storage: storage, io: io) { identity throws(LogError) in
      let journal = try JournalLog(
        storage, identity: identity, settings: settings.journal, random: SystemRandom.storeID,
        clock: SystemClock.bootNs, wake: { wake.raise() }, notify: { notify.raise() })
      opened = journal
      return journal
    }
    let engine = try Engine.open(surroundings, settings.engine, nowNs: SystemClock.wallNs())
    guard let journal = opened else { preconditionFailure("an engine that is open has opened its log") }
    let thread = try Thread(name: "escapement-log") { journal.run { timeoutNs in wake.wait(timeoutNs: timeoutNs) } }
    return (engine, thread)
  }

  private func reportRecovery() {
    let recovery = engine.recovery
    if recovery.isNew { return log("made the data folder \(settings.dataFolder)") }
    let gauges = broker.gauges
    log(
      "recovered \(gauges.pending) pending messages, \(gauges.topics) topics, and \(recovery.log.records) journal "
        + "records behind the checkpoint")
    if let torn = recovery.log.tornTail {
      log("cut a torn tail of \(torn.bytesCut) bytes at byte \(torn.offset) of \(torn.file)")
    }
    for lost in recovery.log.lost {
      log("salvage left out records \(lost.from) to \(lost.through): \(lost.reason)")
    }
    if recovery.aheadMs > 1000 {
      log(
        "the wall clock is \(recovery.aheadMs) ms behind the last release; service time waits until it has caught up")
    }
  }

  /// Serves until a signal or a failure of the loop itself; then stops cleanly. Gives the exit code.
  public func run() -> Int32 {
    ProcessSettings.ignoreBrokenPipes()
    ProcessSettings.usePreciseTimers()
    while !isStopping {
      do throws(SystemError) {
        try turn()
      } catch {
        log("the loop stopped: \(error)")
        isStopping = true
      }
    }
    return shutDown()
  }

  private func shutDown() -> Int32 {
    Socket.close(listener)
    for connection in connections.values where connection.isBlocked || !connection.fetchRids.isEmpty {
      refuseWaiting(connection, .shuttingDown)
    }
    // Nobody gets anything more, so that nothing counts as delivered that was not sent.
    for connection in connections.values { releaseConsumers(connection) }
    let decisions = engine.log
    engine.stop { [notify] in
      while decisions.inFlightBytes > 0, decisions.failure == nil { notify.wait(timeoutNs: 10_000_000) }
    }
    decisions.stop()
    logThread.join()
    sendLast()
    io.stop()
    if let failure = broker.failure {
      log("stopped after a failure of the store: \(failure)")
      return 1
    }
    log("stopped")
    return 0
  }

  /// Sends what the end of the journal has settled, without waiting for slow clients.
  private func sendLast() {
    let settled = engine.log.failure == nil ? Sequence.max : engine.log.settledSequence
    for connection in connections.values {
      connection.closeTurn(settled: settled)
      connection.open(settled: settled)
      _ = Socket.write(connection.descriptor, connection.readyBytes)
      Socket.close(connection.descriptor)
    }
  }
}

/// Numbers of the network side, since the start.
struct ServerCounters {
  var connectionsAccepted: UInt64 = 0
  var connectionsRefused: UInt64 = 0
  var requests: UInt64 = 0
  var refusals: UInt64 = 0
  var bytesReceived: UInt64 = 0
  var bytesSent: UInt64 = 0
  var turns: UInt64 = 0
}
