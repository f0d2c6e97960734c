// The front of a node: accepts clients and carries bytes between them and the shards. One thread.
//
// Holds: what a client sends is not changed on its way to a shard, nor what a shard answers; a client that does not read is not
// read from either, and neither are the shards on its behalf.
// Leaves to others: finding the shard of a command (the relays), serving it (ShardLoop).

import Access
import Cluster
import LineProtocol
import Logs
import Platform
import Primitives
import Server
import TLS

/// Clients and their ways to shards.
final class Front {
  let settings: NodeSettings
  let shards: [ShardLoop]
  let log: ServerLog
  let admission: Admission
  let places: ShardPlaces
  let reader = RequestReader()
  private var tls: TLSContext?
  private let epoll: Epoll
  private let signals: ProcessSignals
  /// Where clients come in.
  let listeners: [FrontListener]
  private var sockets: [Int32: FrontSocket] = [:]
  private var connections: [ObjectIdentifier: FrontConnection] = [:]
  private var connectionsByPeer: [PeerAddress: Int] = [:]
  private var touched: [FrontConnection] = []
  private var lastGeneration: UInt32 = 0
  private let readBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
  private(set) var isStopping = false
  private var nextLookMs: Int64 = 0

  /// Bytes that wait on one socket; beyond it nothing more is read for it.
  static let unsentBytesMax = 4 << 20

  init(
    _ settings: NodeSettings, _ doors: FrontDoors, _ shards: [ShardLoop], _ signals: ProcessSignals,
    log: @escaping ServerLog
  ) throws(SystemError) {
    self.settings = settings
    listeners = doors.listeners
    self.shards = shards
    self.signals = signals
    self.log = log
    admission = Admission(settings.server)
    places = ShardPlaces(count: settings.shards)
    tls = settings.server.tls
    epoll = try Epoll()
    try epoll.add(signals.descriptor, generation: 0, .readable)
    for listener in listeners { try epoll.add(listener.descriptor, generation: 0, .readable) }
  }

  deinit { readBuffer.deallocate() }

  // MARK: The loop

  /// Runs until a signal comes.
  ///
  /// - Parameter tellAlive: called about once a second, as long as the loop turns.
  func run(_ tellAlive: () -> Void) throws(SystemError) {
    while !isStopping {
      let count = try epoll.wait(timeoutNs: Self.lookNs)
      for place in 0..<count { handle(epoll[place]) }
      if nowMs >= nextLookMs {
        nextLookMs = nowMs + Self.lookNs / TimeUnits.nsPerMs
        giveUpStrangers()
        tellAlive()
      }
      flushTouched()
    }
  }

  /// How often the loop looks for clients that take too long to say what they want.
  private static let lookNs: Int64 = 1_000_000_000

  private func handle(_ event: ReadyEvent) {
    if event.descriptor == signals.descriptor { return takeSignals() }
    if let listener = listeners.first(where: { $0.descriptor == event.descriptor }) { return accept(listener) }
    guard let socket = sockets[event.descriptor], socket.generation == event.generation else { return }
    guard let connection = socket.owner else { return }
    touch(connection)
    if event.readiness.contains(.readable) {
      receive(socket)
    } else if !event.readiness.isDisjoint(with: [.error, .hangUp]) {
      socket.isGone = true
    }
  }

  private func takeSignals() {
    while let signal = signals.next() {
      if signal == .hangUp { reload() } else { isStopping = true }
    }
  }

  private func receive(_ socket: FrontSocket) {
    guard !socket.closesWhenSent, let connection = socket.owner else { return }
    socket.receive(readBuffer) { bytes in
      switch socket.end {
      case .client: connection.relay?.clientSent(bytes)
      case .shard(let shard): shardSent(shard, bytes, socket)
      }
    }
    if socket.end == .client, socket.inputEnded { connection.relay?.clientEnded() }
  }

  private func shardSent(_ shard: Int, _ bytes: UnsafeRawBufferPointer, _ socket: FrontSocket) {
    var bytes = bytes
    guard let connection = socket.owner else { return }
    if socket.splice != nil {
      guard let hasAgreed = socket.splice?.agreed(&bytes) else { return }
      guard hasAgreed else {
        socket.isGone = true
        return
      }
      connection.spliced(socket)
    }
    if !bytes.isEmpty { connection.relay?.shardSent(shard, bytes) }
  }

  // MARK: Coming

  private func accept(_ listener: FrontListener) {
    for _ in 0..<64 {
      switch Socket.accept(listener.descriptor) {
      case .connection(let descriptor): adopt(descriptor, listener)
      case .none: return
      case .exhausted(let number), .failed(let number):
        return log(.warning, "accept_failed", "accept failed with error \(number)")
      }
    }
  }

  private func adopt(_ descriptor: Int32, _ listener: FrontListener) {
    let wire = listener.address.wire
    let peer = Socket.peer(descriptor)
    if connections.count >= settings.server.connectionsMax
      || connectionsByPeer[peer, default: 0] >= settings.server.connectionsPerAddressMax
    {
      log(.warning, "connection_refused", "turned away a connection from \(peer): there are too many")
      if tls == nil {
        var bytes = ByteBuffer(capacity: 128)
        wire.turnAway("there are too many connections", to: &bytes)
        _ = Socket.write(descriptor, bytes.readable)
      }
      return Socket.close(descriptor)
    }
    let connection = FrontConnection(self, peer)
    var secure: SecureSide?
    if let tls {
      let openByMs = nowMs + settings.server.handshakeTimeoutMs
      guard let channel = try? TLSChannel(serverOf: tls) else { return Socket.close(descriptor) }
      secure = SecureSide(channel, openByMs: openByMs)
    }
    guard let socket = watch(descriptor, .client, connection, secure) else { return }
    connection.openByMs = nowMs + settings.server.handshakeTimeoutMs
    connection.begin(socket)
    connections[ObjectIdentifier(connection)] = connection
    connectionsByPeer[peer, default: 0] += 1
    connection.relay = makeRelay(listener, connection)
    if connection.relay == nil { connection.close() }
    touch(connection)
  }

  /// Nil when the shard that the listener stands for cannot be reached.
  private func makeRelay(_ listener: FrontListener, _ connection: FrontConnection) -> (any Relay)? {
    if let shard = listener.shard { return PipeRelay.begin(self, connection, to: shard, listener.address.wire) }
    return switch listener.address.wire {
    case .line: LineRelay(self, connection)
    case .amqp: AMQPRelay(self, connection)
    case .remoting: NameServerRelay(self, connection)
    case .http: HTTPRelay(self, connection)
    }
  }

  private func watch(
    _ descriptor: Int32, _ end: FrontSocket.End, _ connection: FrontConnection, _ secure: SecureSide? = nil
  ) -> FrontSocket? {
    lastGeneration &+= 1
    let socket = FrontSocket(descriptor, generation: lastGeneration, end, connection, secure: secure)
    do throws(SystemError) { try epoll.add(descriptor, generation: socket.generation, .readable) } catch {
      log(.warning, "watch_failed", "a connection could not be watched: \(error)")
      Socket.close(descriptor)
      return nil
    }
    sockets[descriptor] = socket
    return socket
  }

  // MARK: Shards

  /// Opens the way to a shard that this node leads.
  ///
  /// - Parameter peer: where the client is, if not at the other end of its connection.
  /// - Returns: false when it does not lead it.
  func open(
    _ shard: Int, _ wire: Wire, for connection: FrontConnection, as identity: Identity?, peer: PeerAddress? = nil
  ) -> Bool {
    if connection.shards[shard] != nil { return true }
    guard shards[shard].view.isServing, let (near, far) = try? Socket.pair() else { return false }
    guard let socket = watch(near, .shard(shard), connection) else {
      Socket.close(far)
      return false
    }
    connection.add(socket, shard: shard)
    shards[shard].post(.connection(far, wire, peer ?? connection.peer, identity))
    return true
  }

  /// Gives the folder of a shard to the node at the other end of a connection, behind what is sent on it now.
  ///
  /// - Returns: false while it is given to another one.
  func give(folderOf shard: Int, to note: CheckpointNote, through connection: FrontConnection) -> Bool {
    guard connection.shards[shard] == nil, !shards[shard].isGiving.exchange(true, ordering: .acquiring) else {
      return false
    }
    do throws(SystemError) {
      let (near, far) = try Socket.pair()
      if let socket = watch(near, .shard(shard), connection) {
        connection.add(socket, shard: shard)
        try FolderGift.begin(shards[shard], to: note, far)
        return true
      }
      Socket.close(far)
    } catch {
      log(.warning, "folder_not_given", "the folder of shard \(shard) cannot be given: \(error)")
    }
    shards[shard].isGiving.store(false, ordering: .releasing)
    return false
  }

  /// Opens the way to a shard, on this node or through the one that leads it.
  ///
  /// - Returns: false when nobody is known to lead it.
  func reach(_ shard: Int, _ wire: Wire, for connection: FrontConnection) -> Bool {
    if open(shard, wire, for: connection, as: nil) { return true }
    guard let leader = shards[shard].view.leader(otherThan: settings.name),
      let address = NodeAddress(NodePlaces(leader.address).line),
      let descriptor = try? Socket.beginConnect(host: address.host, port: address.port, attempt: 0)
    else { return false }
    var secure: SecureSide?
    if let context = settings.peerTLS {
      let openByMs = nowMs + settings.server.handshakeTimeoutMs
      guard let channel = try? TLSChannel(clientOf: context, host: address.host) else {
        Socket.close(descriptor)
        return false
      }
      _ = channel.handshake()
      secure = SecureSide(channel, openByMs: openByMs)
    }
    guard let socket = watch(descriptor, .shard(shard), connection, secure) else { return false }
    socket.splice = Splice()
    Splice.append(
      shard: shard, wire: wire, secret: settings.secret, peer: connection.peer, to: &socket.output)
    connection.add(socket, shard: shard)
    touch(connection)
    return true
  }

  /// Boot-time clock.
  var nowMs: Int64 { SystemClock.bootNs() / TimeUnits.nsPerMs }

  // MARK: The end of a turn

  func touch(_ connection: FrontConnection) {
    guard !connection.isTouched else { return }
    connection.isTouched = true
    touched.append(connection)
  }

  private func flushTouched() {
    while !touched.isEmpty {
      let work = touched
      touched.removeAll(keepingCapacity: true)
      for connection in work {
        connection.isTouched = false
        lookAfter(connection)
      }
    }
  }

  private func lookAfter(_ connection: FrontConnection) {
    guard let client = connection.client, connections[ObjectIdentifier(connection)] != nil else { return }
    for (shard, socket) in connection.shards {
      socket.flush()
      if socket.isGone || (socket.inputEnded && !socket.isGone) {
        _ = connection.remove(shard: shard)
        forget(socket)
        connection.relay?.shardEnded(shard)
      }
    }
    client.flush()
    if client.isGone { return drop(connection) }
    updateInterest(client, reads: connection.takesInput)
    let takesOutput = connection.takesOutput
    for socket in connection.shards.values { updateInterest(socket, reads: takesOutput) }
  }

  private func updateInterest(_ socket: FrontSocket, reads: Bool) {
    var interest: Readiness = []
    if reads { interest.insert(.readable) }
    if socket.isBlocked { interest.insert(.writable) }
    guard interest != socket.interest else { return }
    socket.interest = interest
    do throws(SystemError) {
      try epoll.modify(socket.descriptor, generation: socket.generation, interest)
    } catch {
      socket.isGone = true
      if let connection = socket.owner { touch(connection) }
    }
  }

  private func drop(_ connection: FrontConnection) {
    guard connections.removeValue(forKey: ObjectIdentifier(connection)) != nil else { return }
    let others = connectionsByPeer[connection.peer, default: 1] - 1
    connectionsByPeer[connection.peer] = others == 0 ? nil : others
    for socket in connection.shards.values { forget(socket) }
    if let client = connection.client { forget(client) }
    connection.relay = nil
  }

  private func forget(_ socket: FrontSocket) {
    socket.isGone = true
    sockets[socket.descriptor] = nil
    Socket.close(socket.descriptor)
  }

  /// Ends connections that have not said in time what they want.
  private func giveUpStrangers() {
    let nowMs = nowMs
    for connection in connections.values {
      let isLate = [connection.openByMs, connection.client?.secure?.openByMs].contains {
        $0.map { $0 <= nowMs } ?? false
      }
      guard isLate else { continue }
      connection.client?.isGone = true
      touch(connection)
    }
  }

  // MARK: Files that change

  private func reload() {
    if let files = settings.server.tlsFiles {
      do throws(TLSError) { tls = try TLSContext(server: files) } catch {
        log(.error, "tls_not_read", "the files of TLS were not read again, and what they said holds: \(error)")
      }
    }
    guard let path = settings.server.accessPath, let old = admission.access else { return }
    let file: AccessFile
    do throws(AccessError) { file = try AccessFile(path: path) } catch {
      return log(.error, "access_not_read", "the access file was not read again, and what it said holds: \(error)")
    }
    admission.access = file
    for shard in shards { shard.post(.access(file)) }
    for connection in connections.values { (connection.relay as? LineRelay)?.accessChanged(old) }
    log(.info, "access_read", "read the access file again: \(file.entries.count) entries")
  }

  /// Closes everything.
  func end() {
    for listener in listeners { Socket.close(listener.descriptor) }
    for connection in Array(connections.values) { drop(connection) }
  }
}
