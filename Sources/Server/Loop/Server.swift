// The server: one loop thread that owns the broker and all connections.
//
// Holds: nothing that a turn made is sent before its journal records are settled; the loop never waits for a disk; it
// sleeps until there is something to do.
// Leaves to others: wire protocols (the sessions), state (Broker), durability (Engine, Journal), system calls (Network).

import Broker
import DataFiles
import Engine
import Platform
import Primitives

/// Why a server does not start.
public struct ServerError: Error, CustomStringConvertible {
  /// What happened and what to do.
  public let description: String
  /// Whether it is an address of somebody else's protocol, asked for by name, that cannot be listened on.
  public let isUnusableAddress: Bool
}

/// An address could not be listened on.
private struct ListenError: Error, CustomStringConvertible {
  let wire: Wire
  let reason: SystemError
  var description: String { (wire.name.map { "\($0): " } ?? "") + "\(reason)" }
}

/// A server.
public final class Server {
  let settings: ServerSettings
  let surroundings: Surroundings
  let network: any Network
  let services: Services
  let engine: Engine
  let broker: Broker
  let log: (String) -> Void
  @exclusivity(unchecked) private(set) var listeners: [Listener] = []

  @exclusivity(unchecked) var connections: [Int32: Connection] = [:]
  var nextKey: UInt64 = 1
  @exclusivity(unchecked) var connectionByKey: [UInt64: Connection] = [:]
  /// How many connections there are from each address.
  var connectionsByPeer: [PeerAddress: Int] = [:]
  /// What this turn must look after: connections that were given something or have sent something.
  @exclusivity(unchecked) var touched: [Connection] = []
  /// Connections with output behind a gate.
  var gated: [Connection] = []
  /// Connections whose sessions can give a command again.
  var retries: [UInt64] = []
  /// Connections that have commands and go on as soon as they may.
  var heldBack: [Connection] = []
  @exclusivity(unchecked) var wakeUps: WakeUps
  let readBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
  /// Until when the listeners are left alone because descriptors have run out; nil while they are watched.
  var acceptsAgainMs: UnixMs?
  /// How long that is, unless a connection closes before: descriptors may come free elsewhere on the machine.
  static let acceptPauseMs: Int64 = 1000
  /// When this turn began, in µs since boot.
  @exclusivity(unchecked) var turnUs: Int64 = 0
  /// Whether sessions have been told that new messages are refused.
  var isRefusingMessages = false
  var hasReportedFailure = false

  /// Where it listens, in the order of the settings: host, port, and what is spoken there.
  public var addresses: [ListenAddress] {
    listeners.map { ListenAddress(host: $0.host, port: $0.port, wire: $0.wire) }
  }

  /// Opens the data folder of the settings on this machine and listens. `log` gets lines for people.
  ///
  /// - Throws: when the folder is in use, damaged or cannot be written, or an address cannot be listened on.
  public convenience init(_ settings: ServerSettings, log: @escaping @Sendable (String) -> Void) throws(ServerError) {
    do {
      try self.init(settings, try Surroundings.linux(settings, log: log), log: log)
    } catch {
      throw ServerError(
        description: "\(error)" + Self.advice(error), isUnusableAddress: (error as? ListenError)?.wire.name != nil)
    }
    reportRecovery()
  }

  /// A server over an open data folder.
  init(_ settings: ServerSettings, _ surroundings: Surroundings, log: @escaping (String) -> Void) throws {
    self.settings = settings
    self.surroundings = surroundings
    self.log = log
    network = surroundings.network
    engine = surroundings.engine
    broker = engine.broker
    let clock = ServiceClock(
      bootNs: surroundings.clock.bootNs(), wallNs: surroundings.clock.wallNs(), notBeforeMs: broker.nowMs,
      stepMs: settings.clockStepMs)
    services = Services(settings, engine, clock: clock)
    wakeUps = WakeUps(startMs: broker.nowMs)
    for address in settings.listeners { try listen(address) }
    services.rabbitMQ.noteDropped = log
    services.rabbitMQ.restore {
      if let failure = surroundings.io.drain() { broker.fail(failure) }
    }
  }

  deinit { readBuffer.deallocate() }

  private func listen(_ address: ListenAddress) throws(ListenError) {
    do throws(SystemError) {
      let (descriptor, port) = try network.listen(host: address.host, port: address.port)
      listeners.append(Listener(descriptor: descriptor, host: address.host, port: port, wire: address.wire))
      try network.watch(descriptor, generation: 0, .readable)
    } catch {
      guard !address.isRequired else { throw ListenError(wire: address.wire, reason: error) }
      log("\(address.wire.name ?? "a wire") is left out: \(error)")
    }
  }

  /// What to do about a data folder that does not open. The log's errors say more themselves.
  private static func advice(_ error: any Error) -> String {
    guard case .storage(let error)? = error as? EngineError, error.kind == .damaged else {
      return ""
    }
    return "; restore the data folder from a copy (`escapement check` lists all damage)"
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
    while !services.isStopping {
      do throws(SystemError) {
        try turn()
      } catch {
        log("the loop stopped: \(error)")
        services.isStopping = true
      }
    }
    return shutDown()
  }

  /// Stops cleanly: answers what is durable, writes a checkpoint. Gives the exit code.
  func shutDown() -> Int32 {
    surroundings.boundWaiting()
    for listener in listeners { network.close(listener.descriptor) }
    let all = connections.values.sorted { $0.key < $1.key }
    for connection in all { connection.session.any.shutDown() }
    // Nobody gets anything more, so that nothing counts as delivered that was not sent.
    for connection in all { endSession(connection) }
    let records = engine.log
    engine.stop { [surroundings] in
      while records.inFlightBytes > 0, records.failure == nil { surroundings.waitForLog() }
    }
    surroundings.endLog()
    sendLast(all)
    surroundings.endIO()
    if let failure = broker.failure {
      log("stopped after a failure of the store: \(failure)")
      return 1
    }
    log("stopped")
    return 0
  }

  /// Sends what the end of the journal has settled, without waiting for slow clients.
  private func sendLast(_ connections: [Connection]) {
    let settled = engine.log.failure == nil ? Sequence.max : engine.log.settledSequence
    for connection in connections {
      connection.output.closeTurn(settled: settled, turnUs: turnUs)
      connection.output.open(settled: settled, nowUs: turnUs, &services.counters.replyUs)
      _ = network.write(connection.descriptor, connection.output.readyBytes)
      network.close(connection.descriptor)
    }
  }
}
