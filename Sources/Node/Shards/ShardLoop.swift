// One shard on one node: a thread that runs its log, its shard, and while it leads, a server over its engine.
//
//   following ──the epoch is its own──► a `Server` over the engine, whose loop this thread runs
//       ▲                                      │ the log has failed: another one leads, or will
//       └──── all connections are closed ◄─────┘
//
// Holds: connections reach a shard only while it leads; when it does not any more they are closed, and nothing that waited for a
// gate is sent. The thread never waits for a disk but while it reopens its folder.
// Leaves to others: accepting clients and finding the shard of a command (Front), what counts (Cluster), state (Engine).

import Access
import Broker
import Cluster
import DecisionLog
import Engine
import JetStream
import Logs
import NATS
import Platform
import Primitives
import ReplicatedStream
import Server
import Synchronization

/// A shard and its thread.
final class ShardLoop: @unchecked Sendable {
  /// What other threads ask of the shard.
  enum Mail {
    /// A connection to be served, while the shard leads.
    case connection(Int32, Wire, PeerAddress, Identity?)
    /// The access file was read again.
    case access(AccessFile)
    /// The leadership is to be given to a node.
    case resign(to: String)
    /// This node is to lead, whoever does now.
    case seize
    /// Another node has told how far its checkpoint reaches.
    case note(CheckpointNote)
    /// A digest of the state is to be shown.
    case digest
    /// Another node wants the folder.
    case give(FolderGift)
    /// The folder of another node was fetched, or not: the shard reads again.
    case fetched
    /// The node goes down.
    case stop
  }

  let number: Int
  let settings: NodeSettings
  let log: ServerLog
  /// Whether the folder is being given to another node.
  let isGiving = Atomic(false)
  private let mail = Mutex<[Mail]>([])
  private let notify: EventSignal
  private let published: Mutex<ShardView>
  private var thread: Thread?

  // The thread's own.
  private let transport: SocketTransport
  private let stream: JetStreamStream
  private let network: LinuxNetwork
  private let storage: DiskStorage
  private let shard: Shard
  private var server: Server?
  private var isStopping = false
  private var toldProblem: String?
  private var wantsDigest = false
  private var digest: ShardDigest?
  /// A snapshot that is being made for another node.
  private var gift: FolderGift?
  private var fetch: FolderFetch?
  private var access: AccessFile?
  private let rocketMQ: NodeAddress?
  private let moves: LeaderMoves

  /// Opens the folder of the shard; nothing runs yet.
  ///
  /// - Parameters:
  ///   - places: where the node is.
  ///   - moves: of all shards of the node.
  ///   - mayBegin: whether the node may begin the log of a shard whose folder it does not have.
  init(
    _ number: Int, _ settings: NodeSettings, _ places: NodePlaces, _ moves: LeaderMoves, mayBegin: Bool,
    log: @escaping ServerLog
  ) throws {
    self.number = number
    self.moves = moves
    rocketMQ = places.broker(ofShard: number)
    self.settings = settings
    self.log = log
    access = settings.server.access
    let notify = try EventSignal()
    self.notify = notify
    transport = try SocketTransport()
    let storage = try DiskStorage(root: NodeFolder.path(ofShard: number, in: settings.server.dataFolder))
    try storage.lock()
    self.storage = storage
    FolderGift.removeLeftovers(of: number, settings)
    let mark = try CheckpointFile.load(storage).flatMap { LogMark(decoding: $0.mark) }
    let mayBegin = mayBegin || mark != nil
    stream = JetStreamStream(
      Self.streamSettings(number, settings, mark?.knownStream, mayBegin: mayBegin),
      over: NATSClient(settings.nats, transport: transport, seed: SystemRandom.next()))
    network = try LinuxNetwork(notify: notify, others: [transport.descriptor])
    var engine = settings.server.engine
    engine.salvages = false
    // The shards of a node share what it may use.
    engine.broker.nearBytesMax /= settings.shards
    shard = try Shard(
      stream, engine: engine, log: Self.logSettings(number, settings, places, mayBegin: mayBegin),
      ShardSurroundings(
        storage: storage,
        openLanes: { ThreadedLanes(storage, notify, log) },
        log: ReplicatedLogSurroundings(
          clock: SystemClock.bootNs, serviceMs: { SystemClock.wallNs() / TimeUnits.nsPerMs },
          random: SystemRandom.storeID, wake: {}, notify: {})))
    published = Mutex(ShardView(number: number, status: shard.log.status))
  }

  private static func streamSettings(
    _ number: Int, _ settings: NodeSettings, _ known: StreamIdentity?, mayBegin: Bool
  ) -> JetStreamSettings {
    var stream = JetStreamSettings(
      shard: number, of: settings.shards, replicas: settings.replicas, bytesMax: settings.streamBytesMax,
      mayCreate: settings.mayCreate && mayBegin && known == nil)
    stream.identity = known
    return stream
  }

  private static func logSettings(
    _ number: Int, _ settings: NodeSettings, _ places: NodePlaces, mayBegin: Bool
  ) -> ReplicatedLogSettings {
    var log = ReplicatedLogSettings(node: settings.name, address: places.text)
    log.shard = number
    log.mayBegin = mayBegin
    log.streamBytesMax = UInt64(settings.streamBytesMax)
    return log
  }

  // MARK: Other threads

  /// Begins to run.
  func start() throws(SystemError) { thread = try Thread(name: "shard-\(number)") { [self] in run() } }

  /// Asks for something.
  func post(_ letter: Mail) {
    mail.withLock { $0.append(letter) }
    notify.raise()
  }

  /// What the shard is at the moment.
  var view: ShardView { published.withLock { $0 } }

  /// Waits until the thread has ended.
  func join() { thread?.join() }

  // MARK: The thread

  private func run() {
    ProcessSettings.usePreciseTimers()
    while !isStopping {
      do throws(SystemError) {
        if let server { try lead(server) } else { try follow() }
      } catch {
        log(.error, "loop_failed", "the loop of shard \(number) stopped: \(error)")
        isStopping = true
      }
      publish()
    }
    end()
    publish()
  }

  private var wallNs: Int64 { SystemClock.wallNs() }

  private func follow() throws(SystemError) {
    _ = try network.wait(timeoutNs: untilNextTurn())
    takeMail(for: nil)
    _ = shard.log.turn()
    if let change = shard.turn(nowNs: wallNs) { tell(change) }
    if case .leading = shard.state { beginServing() }
  }

  /// How long a follower has nothing to do.
  private func untilNextTurn() -> Int64 {
    if shard.engine?.isPreparingCheckpoint == true { return 0 }
    // What a follower does without being told is not urgent: looking at its disk space.
    return switch shard.log.turn() {
    case .now: 0
    case .after(let ns): min(ns, Self.followerRestNs)
    case .whenWoken, .finished: Self.followerRestNs
    }
  }

  private static let followerRestNs: Int64 = 100_000_000

  private func lead(_ server: Server) throws(SystemError) {
    try server.turn()
    guard shard.log.failure != nil else { return }
    // Whoever sees a connection end must find that the shard is not led here.
    self.server = nil
    publish()
    server.abandon()
    if let change = shard.turn(nowNs: wallNs) { tell(change) }
  }

  private func beginServing() {
    guard let engine = shard.engine, let lanes = shard.lanes as? ThreadedLanes else { return }
    let log = shard.log
    var surroundings = Surroundings(
      network: network, io: lanes.threads, engine: engine, waitForLog: {},
      endLog: { [transport] in Self.finish(log, transport) }, endIO: { lanes.threads.stop() })
    surroundings.turnLog = { log.turn() }
    surroundings.takeMail = { [unowned self] in takeMail(for: server) }
    do {
      server = try Server(serverSettings(), surroundings, log: self.log)
    } catch {
      preconditionFailure("a server without listeners opens over an open engine: \(error)")
    }
  }

  private func serverSettings() -> ServerSettings {
    var server = settings.server
    server.listeners = []
    server.tls = nil
    server.tlsFiles = nil
    server.access = access
    server.accessPath = nil
    server.connectionsMax = .max
    server.connectionsPerAddressMax = .max
    var place = ShardPlace(number: number, of: settings.shards)
    place.rocketMQ = rocketMQ.map { (ShardPlace.brokerName(number), $0.host, $0.port) }
    server.shard = place
    // As what is near.
    if server.memoryBytesMax < .max { server.memoryBytesMax /= settings.shards }
    return server
  }

  private func takeMail(for server: Server?) {
    let letters = mail.withLock { mail in
      defer { mail = [] }
      return mail
    }
    for letter in letters {
      switch letter {
      case .connection(let descriptor, let wire, let peer, let identity):
        if let server { server.adopt(descriptor, wire, peer, as: identity) } else { Socket.close(descriptor) }
      case .access(let file):
        access = file
        server?.take(file)
      case .resign(let node): if server != nil { shard.resign(to: node) }
      case .seize: shard.log.seize()
      case .note(let note): if server != nil { shard.log.note(note) }
      case .digest: wantsDigest = true
      case .give(let gift): give(gift)
      case .fetched: reopen()
      case .stop: isStopping = true
      }
    }
  }

  // MARK: Folders

  private func give(_ gift: FolderGift) {
    guard let engine = shard.engine, engine.broker.failure == nil else {
      return gift.fail("the shard is not open here")
    }
    let hasBegun = engine.makeSnapshot(gift.target) { [unowned self] result in
      self.gift = nil
      gift.finished(result)
    }
    if hasBegun { self.gift = gift } else { gift.fail("another snapshot is being made") }
  }

  /// The engine is gone, and with it the snapshot that it was making.
  private func endGift() {
    gift?.fail("the shard is not open here any more")
    gift = nil
  }

  private func beginFetch() {
    let fetched = { @Sendable [unowned self] in post(.fetched) }
    do {
      fetch = try FolderFetch(number, into: storage, shard.log.status, settings, log: log, done: fetched)
    } catch {
      log(.error, "no_thread", "the folder of shard \(number) cannot be fetched: \(error)")
      isStopping = true
    }
  }

  private func reopen() {
    fetch?.stop()
    fetch = nil
    do throws(StorageError) { try shard.reopen() } catch {
      log(.error, "folder_not_opened", "the folder of shard \(number) cannot be opened: \(error)")
      isStopping = true
    }
  }

  private func tell(_ change: Shard.Change) {
    if change != .began { endGift() }
    switch change {
    case .began: log(.info, "shard_led", "leads shard \(number) from epoch \(shard.log.status.position.epoch) on")
    case .deposed: log(.warning, "shard_deposed", "does not lead shard \(number) any more, and reads its log again")
    case .needsFolder:
      if case .needsFolder(let text) = shard.state {
        log(.warning, "shard_needs_folder", "shard \(number) needs the folder of another node: \(text)")
      }
      beginFetch()
    case .stopped:
      if case .stopped(_, let text) = shard.state { log(.error, "shard_stopped", "shard \(number) stopped: \(text)") }
    }
  }

  private func publish() {
    let status = shard.log.status
    if status.problem != toldProblem {
      toldProblem = status.problem
      if let problem = status.problem { log(.warning, "shard_problem", "shard \(number): \(problem)") }
    }
    takeDigest()
    if let node = status.preferredLeader { giveWay(to: node) }
    let view = ShardView(
      number: number, status: status, state: shard.state, isServing: server != nil, digest: digest)
    published.withLock { $0 = view }
  }

  /// The shards of a cluster are spread over its nodes, and come back to a node that was away.
  private func giveWay(to node: String) {
    guard settings.rebalances, server != nil, !shard.isResigning, moves.begin() else { return }
    log(.info, "leader_moved", "gives the leadership of shard \(number) to \(node), which comes first there")
    shard.resign(to: node)
  }

  /// Between turns, so that it is of whole records.
  private func takeDigest() {
    guard wantsDigest, let broker = shard.engine?.broker, broker.failure == nil else { return }
    wantsDigest = false
    digest = ShardDigest(record: broker.records.lastSequence, hash: broker.digestHash())
  }

  private func end() {
    endGift()
    fetch?.stop()
    // The log goes on elsewhere: what was submitted is sent, the leadership given away; there is nothing to be waited for.
    if let server {
      _ = server.shutDown()
      self.server = nil
    } else {
      shard.engine?.stopFollowing()
      Self.finish(shard.log, transport)
      (shard.lanes as? ThreadedLanes)?.threads.stop()
    }
    stream.stop()
  }

  /// Lets the log send what it has, and give the leadership away.
  private static func finish(_ log: ReplicatedLog, _ transport: SocketTransport) {
    let endNs = SystemClock.bootNs() + 3_000_000_000
    log.stop()
    while log.turn() != .finished, SystemClock.bootNs() < endNs {
      _ = Socket.waitReadable(transport.descriptor, timeoutNs: 10_000_000)
    }
  }
}
