// The server: one loop thread that owns the broker and all connections.
//
// Holds: nothing that a turn made is sent before its journal records are settled; the loop never waits for a disk; it
// sleeps until there is something to do.
// Leaves to others: wire protocols (the sessions), state (Broker), durability (Engine, Journal), system calls (Network).

import Broker
import DataFiles
import DecisionLog
import Engine
import Logs
import Platform
import Primitives
import RemotingProtocol
import TLS

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

/// Takes what an operator may want to know: how urgent it is, the kind of event, and words for people. Called by any thread.
public typealias ServerLog = @Sendable (LogLevel, StaticString, String) -> Void

/// A server.
public final class Server {
  let settings: ServerSettings
  let surroundings: Surroundings
  let network: any Network
  let services: Services
  let engine: Engine
  let broker: Broker
  let log: ServerLog
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
  /// What is new on connections with TLS.
  var tls: TLSContext?
  /// Steps of handshakes that this turn may still take.
  var handshakesRemaining = 0
  /// Until when the listeners are left alone because descriptors have run out; nil while they are watched.
  var acceptsAgainMs: UnixMs?
  /// How long that is, unless a connection closes before: descriptors may come free elsewhere on the machine.
  static let acceptPauseMs: Int64 = 1000
  /// When this turn began, in µs since boot.
  @exclusivity(unchecked) var turnUs: Int64 = 0
  /// Whether sessions have been told that new messages are refused.
  var isRefusingMessages = false
  var hasReportedFailure = false
  /// Who started the server and watches it, if anybody does.
  private(set) var supervisor: ServiceNotifier?
  /// When the supervisor is to hear of us again, in ns since boot.
  var nextAliveNs: Int64 = 0
  /// When a log without a thread of its own must have its next turn.
  var nextLogTurn = NextTurn.whenWoken
  /// When memory is looked at again.
  var nextMemoryLookMs: UnixMs = 0

  /// Where it listens, in the order of the settings: host, port, and what is spoken there.
  public var addresses: [ListenAddress] {
    listeners.map { ListenAddress(host: $0.host, port: $0.port, wire: $0.wire) }
  }

  /// Opens the data folder of the settings on this machine and listens.
  ///
  /// - Throws: when the folder is in use, damaged or cannot be written, or an address cannot be listened on.
  public convenience init(_ settings: ServerSettings, log: @escaping ServerLog) throws(ServerError) {
    do {
      try self.init(settings, try Surroundings.linux(settings, log: log), log: log)
    } catch {
      throw ServerError(
        description: "\(error)" + Self.advice(error), isUnusableAddress: (error as? ListenError)?.wire.name != nil)
    }
    reportRecovery()
  }

  /// A server over an open data folder.
  package init(_ settings: ServerSettings, _ surroundings: Surroundings, log: @escaping ServerLog) throws {
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
    tls = settings.tls
    wakeUps = WakeUps(startMs: broker.nowMs)
    if let broker = settings.shard?.rocketMQ {
      services.rocketMQ.wireSettings.brokerName = broker.name
      advertise(broker.host, broker.port)
    }
    for address in settings.listeners { try listen(address) }
    services.virtualHosts.noteDropped = { log(.warning, "messages_dropped", $0) }
    let closed = services.virtualHosts.restore {
      if let failure = surroundings.io.drain() { broker.fail(failure) }
    }
    for name in closed {
      log(
        .warning, "virtual_host_closed",
        "there are queues or exchanges in the virtual host '\(name)', which clients cannot open: see 'amqp-virtual-hosts'"
      )
    }
  }

  deinit { readBuffer.deallocate() }

  private func listen(_ address: ListenAddress) throws(ListenError) {
    do throws(SystemError) {
      let (descriptor, port) = try network.listen(host: address.host, port: address.port)
      listeners.append(Listener(descriptor: descriptor, host: address.host, port: port, wire: address.wire))
      if case .remoting = address.wire { advertise(address.host, port) }
      try network.watch(descriptor, generation: 0, .readable)
    } catch {
      guard !address.isRequired else { throw ListenError(wire: address.wire, reason: error) }
      log(.warning, "listener_left_out", "\(address.wire.name ?? "a wire") is left out: \(error)")
    }
  }

  /// Says to RocketMQ clients where they are to connect: as the settings say, else where we listen.
  private func advertise(_ listenHost: String, _ listenPort: UInt16) {
    var (host, port) = settings.rocketMQAdvertised ?? (listenHost, listenPort)
    if ["", "*", "0.0.0.0", "::"].contains(host) {
      host = "127.0.0.1"
      log(
        .warning, "advertised_loopback",
        "RocketMQ clients are told to connect to \(host):\(port); say --rocketmq-advertise for those on other machines")
    }
    let address = ListenAddress(host: host, port: port, wire: .remoting)
    services.rocketMQ.wireSettings.address = address.description
    services.rocketMQ.wireSettings.host = RemotingHost(
      address: Socket.ipv4Address(of: host) ?? 0, port: Int32(port))
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
    if recovery.isNew { return log(.info, "data_folder_made", "made the data folder \(settings.dataFolder)") }
    let gauges = broker.gauges
    log(
      .info, "recovered",
      "recovered \(gauges.pending) pending messages, \(gauges.topics) topics, and \(recovery.log.records) journal "
        + "records behind the checkpoint")
    if let torn = recovery.log.tornTail {
      log(.warning, "torn_tail", "cut a torn tail of \(torn.bytesCut) bytes at byte \(torn.offset) of \(torn.file)")
    }
    for lost in recovery.log.lost {
      log(.warning, "salvage", "salvage left out records \(lost.from) to \(lost.through): \(lost.reason)")
    }
    if recovery.aheadMs > 1000 {
      log(
        .warning, "clock_behind",
        "the wall clock is \(recovery.aheadMs) ms behind the last release; service time waits until it has caught up")
    }
  }

  /// Serves until a signal or a failure of the loop itself; then stops cleanly. Gives the exit code.
  ///
  /// - Parameter supervisor: who is told how the server is.
  public func run(supervisor: ServiceNotifier? = nil) -> Int32 {
    self.supervisor = supervisor
    tellReady()
    ProcessSettings.ignoreBrokenPipes()
    ProcessSettings.usePreciseTimers()
    while !services.isStopping {
      do throws(SystemError) {
        try turn()
      } catch {
        log(.error, "loop_failed", "the loop stopped: \(error)")
        services.isStopping = true
      }
    }
    let code = shutDown()
    if code == 0 { log(.info, "stopped", "stopped") }
    return code
  }

  /// Stops cleanly: answers what is durable, writes a checkpoint. Gives the exit code.
  package func shutDown() -> Int32 {
    tellStopping()
    surroundings.boundWaiting()
    for listener in listeners { network.close(listener.descriptor) }
    let all = connections.values.sorted { $0.key < $1.key }
    for connection in all { connection.session.any.shutDown() }
    // Nobody gets anything more, so that nothing counts as delivered that was not sent.
    for connection in all { endSession(connection) }
    let records = engine.log
    // A log that others go on with needs no checkpoint: it is read again from the last one on.
    if surroundings.turnLog == nil {
      engine.stop { [surroundings] in
        while records.inFlightBytes > 0, records.failure == nil { surroundings.waitForLog() }
      }
    }
    surroundings.endLog()
    sendLast(all)
    surroundings.endIO()
    if let failure = broker.failure {
      log(.error, "stopped", "stopped after a failure of the store: \(failure)")
      return 1
    }
    return 0
  }

  /// Closes everything at once, and sends nothing more: what the engine knows may not be true.
  package func abandon() {
    for listener in listeners { network.close(listener.descriptor) }
    for connection in connections.values { network.close(connection.descriptor) }
    connections = [:]
    connectionByKey = [:]
  }

  /// Sends what the end of the journal has settled, without waiting for slow clients.
  private func sendLast(_ connections: [Connection]) {
    let settled = engine.log.failure == nil ? Sequence.max : engine.log.settledSequence
    for connection in connections {
      connection.output.closeTurn(settled: settled, turnUs: turnUs)
      connection.output.open(settled: settled, nowUs: turnUs, &services.counters.replyUs)
      if let secure = connection.secure {
        sendLastSealed(connection, secure)
      } else {
        let bytes = connection.output.readyBytes
        if bytes.count > 0 { _ = network.write(connection.descriptor, bytes) }
      }
      network.close(connection.descriptor)
    }
  }
}
