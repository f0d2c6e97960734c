// The loop of a node: waits for a line or for the network, turns log, shard and engine, prints what may be shown.

import Broker
import Cluster
import CommandLines
import DataFiles
import Engine
import JetStream
import NATS
import Platform
import Primitives
import SimulatedDisk

/// Lanes that run in the loop.
private final class LoopLanes: ShardLanes {
  let manual: ManualIOQueue
  init(_ storage: any Storage) { manual = ManualIOQueue(storage: storage) }

  var queue: any IOQueue { manual }
  func takeFinished() -> [IOTask] {
    manual.runAll()
    return manual.takeFinished()
  }
  var isWaitingForSpace: Bool { manual.isWaitingForSpace }
  func abandon() { manual.abandon() }
}

final class ShardShell {
  private let transport: SocketTransport
  private let stream: JetStreamStream
  private let shard: Shard
  private let epoll = try! Epoll(capacity: 4)
  private let clockOffsetNs: Int64
  private var lines = CommandLines()
  private var hasQuit = false
  private var commands: [[String]] = []
  private var waiting: [(sequence: Sequence, line: String)] = []

  init(
    _ client: NATSSettings, _ settings: JetStreamSettings, name: String, folder: String, clockOffsetMs: Int64
  ) throws {
    transport = try SocketTransport()
    stream = JetStreamStream(settings, over: NATSClient(client, transport: transport, seed: SystemRandom.next()))
    let offsetNs = clockOffsetMs * TimeUnits.nsPerMs
    clockOffsetNs = offsetNs
    let storage = try DiskStorage(root: folder)
    try storage.lock()
    var engine = EngineSettings()
    engine.broker.sliceMs = 2000
    engine.checkpointBytes = 200_000
    let log = ReplicatedLogSettings(node: name, address: "\(name):1")
    shard = try Shard(
      stream, engine: engine, log: log,
      ShardSurroundings(
        storage: storage, openLanes: { LoopLanes(storage) },
        log: ReplicatedLogSurroundings(
          clock: SystemClock.bootNs, serviceMs: { (SystemClock.wallNs() + offsetNs) / TimeUnits.nsPerMs },
          random: SystemRandom.storeID, wake: {}, notify: {})))
    try epoll.add(0, generation: 0, .readable)
    try epoll.add(transport.descriptor, generation: 1, .readable)
  }

  func run() throws {
    while !hasQuit, !lines.hasEnded {
      // While something is on its way, soon: then more than one entry is, as in a busy server.
      let count = try epoll.wait(timeoutNs: waiting.isEmpty ? 2 * TimeUnits.nsPerMs : TimeUnits.nsPerMs / 10)
      for place in 0..<count where epoll[place].generation == 0 { lines.read().forEach(perform) }
      _ = shard.log.turn()
      if let change = shard.turn(nowNs: serviceNs) { tell(change) }
      if case .leading = shard.state { turnEngine() } else { refuse() }
      _ = shard.log.turn()
      show()
    }
    stream.stop()
  }

  private var serviceNs: Int64 { SystemClock.wallNs() + clockOffsetNs }

  private func tell(_ change: Shard.Change) {
    waiting = []
    switch change {
    case .began:
      CommandLines.say("leads \(shard.log.status.position.epoch)")
      subscribe()
    case .deposed: CommandLines.say("deposed")
    case .needsFolder: CommandLines.say("needs a folder")
    case .stopped:
      if case .stopped(_, let text) = shard.state { CommandLines.say("stopped \(text)") }
    }
  }

  // MARK: Commands

  private func perform(_ words: [String]) {
    switch words.first {
    case "schedule": commands.append(words)
    case "seize": shard.log.seize()
    case "status": tellStatus()
    case "digest": tellDigest()
    case "quit": hasQuit = true
    default: CommandLines.refuse(words)
    }
  }

  private func tellStatus() {
    let status = shard.log.status
    let role = "\(status.role)".prefix { $0 != "(" }
    let place = "\(status.position.epoch) \(status.position.index)"
    CommandLines.say("status \(role) \(place) \(status.validCount) \(status.voidCount)")
  }

  private func tellDigest() {
    guard let broker = shard.engine?.broker, broker.failure == nil else { return CommandLines.say("digest none") }
    CommandLines.say("digest \(broker.records.lastSequence) \(broker.digestHash())")
  }

  private func refuse() {
    for words in commands where words.count > 1 { CommandLines.say("refused \(words[1])") }
    commands = []
  }

  // MARK: Leading

  private func turnEngine() {
    guard let engine = shard.engine, let lanes = shard.lanes else { return }
    let last = engine.turn(
      nowNs: serviceNs, finished: lanes.takeFinished, isWaitingForSpace: lanes.isWaitingForSpace
    ) {
      for words in commands where words.count == 3 { schedule(engine.broker, words[1], Int64(words[2]) ?? 0) }
      commands = []
      return true
    }
    for effect in engine.broker.effects {
      guard case .deliver(let delivery) = effect else { continue }
      let record = delivery.record
      let id = String(decoding: record.id, as: UTF8.self)
      let line = "released \(id) \(record.sequence) \(record.dueMs) \(record.stampMs)"
      waiting.append((effect.gate(last: last).sequence, line))
    }
  }

  private func schedule(_ broker: Broker, _ id: String, _ delayMs: Int64) {
    let bytes = Array(id.utf8)
    let name = Array("t".utf8)
    name.withUnsafeBytes { name in
      bytes.withUnsafeBytes { id in
        let command = ScheduleCommand(
          topic: name, parts: MessageParts(id: id, body: id), due: .delay(delayMs), connection: 1)
        guard let answer = try? broker.schedule(command) else { return }
        waiting.append((answer.gate.sequence, "accepted \(String(decoding: id, as: UTF8.self))"))
      }
    }
  }

  /// A private tail: it shows each message of the topic once more to each leader.
  private func subscribe() {
    guard let broker = shard.engine?.broker else { return }
    var options = ConsumerOptions()
    options.from = .earliest
    options.createsAlways = true
    Array("t".utf8).withUnsafeBytes { name in
      _ = try? broker.subscribe(topic: name, group: nil, sub: 1, connection: 2, options)
    }
  }

  private func show() {
    guard !waiting.isEmpty, shard.log.mayShow else { return }
    let settled = shard.log.settledSequence
    for one in waiting where one.sequence <= settled { CommandLines.say(one.line) }
    waiting.removeAll { $0.sequence <= settled }
  }
}
