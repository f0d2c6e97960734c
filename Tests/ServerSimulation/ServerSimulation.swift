// A run: the whole server, its network, its disk and its clients, with everything that can go wrong drawn from one seed.
//
// Holds: the same seed gives the same run. One thread: clients act, time passes, the loop turns, the other threads get a little
// further, in an order that the seed says.
// Leaves to others: what clients ask (Client), judging (WireLedger), the end (Audit).

import Broker
import Engine
import Foundation
import Journal
import Primitives
import SeededRandom
import SimulatedDisk

@testable import Server

final class ServerSimulation {
  let seed: UInt64
  let steps: Int
  let time = SimulatedTime(ms: 1_700_000_000_000)
  private let alarm = Alarm()
  var random: SplitMix64
  var settings: ServerSettings
  var disk: SimulatedStorage
  private(set) var network: SimulatedNetwork
  private(set) var machine: SimulatedServer?
  private(set) var clients: [Client] = []
  private(set) var amqpClients: [AMQPClient] = []
  var ledger = WireLedger()

  var events = 0
  var connections = 0
  private(set) var nextVersion = 1
  /// Whether a failure of the disk was planted, so that the store may stop.
  var mayFail = false
  private(set) var crashes = 0
  private(set) var stops = 0
  private(set) var failures = 0
  /// Operations asked, refusals and events heard, by name.
  private(set) var counts: [String: Int] = [:]
  private var networkCounts = SimulatedNetwork.Counts()

  /// - Parameter amqpClients: how many clients speak AMQP besides those of lines.
  init(seed: UInt64, steps: Int, amqpClients count: Int = 0) {
    self.seed = seed
    self.steps = steps
    random = SplitMix64(seed: seed)
    settings = Self.settings(&random)
    disk = SimulatedStorage(seed: seed)
    network = SimulatedNetwork(time: time, alarm: alarm, seed: seed)
    clients = (0..<4).map { Client($0, self) }
    guard count > 0 else { return }
    settings.listeners.append(ListenAddress(host: "127.0.0.1", port: 5672, wire: .amqp))
    settings.amqpConsumerTimeoutMs = [0, 60_000].randomElement(using: &random) ?? 0
    amqpClients = (0..<count).map { AMQPClient($0, self) }
  }

  /// Everything small, so that a short run meets every border.
  private static func settings(_ random: inout SplitMix64) -> ServerSettings {
    var settings = ServerSettings()
    settings.lineBytesMax = 2048
    // Lines take as long as the seed says.
    settings.requestTimeoutMs = 1 << 40
    settings.unsentBytesMax = [600, 4000, 1 << 20].randomElement(using: &random) ?? 4000
    settings.inFlightBytesMax = [500, 1 << 20].randomElement(using: &random) ?? 500
    settings.engine.broker.tickMs = Bool.random(using: &random) ? 1 : 10
    settings.engine.broker.wheelSize = [4, 512].randomElement(using: &random) ?? 512
    settings.engine.broker.sliceMs = 1000
    settings.engine.broker.idWindowMs = 1 << 40
    settings.engine.broker.segmentBytes = 600
    settings.engine.broker.cacheBytes = Bool.random(using: &random) ? 2048 : 1 << 20
    settings.engine.broker.releasesPerTurn = 3
    settings.engine.broker.copiesPerTurn = 3
    settings.engine.broker.deliveriesPerTurn = 4
    settings.engine.broker.retentionMsDefault = .max
    settings.journal.segmentBytes = SegmentWriter.segmentBytesMin
    settings.engine.checkpointBytes = [1500, 6000, 40_000].randomElement(using: &random) ?? 6000
    settings.engine.minFreeBytes = 16 << 10
    settings.engine.reserveBytes = 64 << 10
    return settings
  }

  /// Writes down what happens when `ESCAPEMENT_TRACE` is set: for whoever looks for the reason of a complaint.
  func trace(_ text: () -> String) {
    guard Self.isTracing else { return }
    print("\(time.nowNs / 1_000_000 - 1_700_000_000_000) \(text())", terminator: "")
  }
  private static let isTracing = ProcessInfo.processInfo.environment["ESCAPEMENT_TRACE"] != nil

  func count(_ name: String) { counts[name, default: 0] += 1 }

  func makeVersion(_ key: MessageKey?) -> Int {
    defer { nextVersion += 1 }
    if let key { ledger.keyOfVersion[nextVersion] = key }
    return nextVersion
  }

  // MARK: Life of a process

  func start() {
    while machine == nil, ledger.complaints.isEmpty {
      network = SimulatedNetwork(time: time, alarm: alarm, seed: random.next())
      do {
        machine = try SimulatedServer(
          disk: disk, settings: settings, network: network, time: time, alarm: alarm, seed: seed)
        ledger.beginLife()
      } catch {
        if disk.hasCrashed { losePower() } else { ledger.complain("the server does not start: \(error)") }
      }
    }
  }

  /// The process is gone, and with it every connection.
  private func endProcess() {
    trace { "--- the process ends; losses of power: \(crashes)\n" }
    machine?.io.abandon()
    machine = nil
    let counts = network.counts
    networkCounts.partialReads += counts.partialReads
    networkCounts.partialWrites += counts.partialWrites
    networkCounts.fullSockets += counts.fullSockets
    networkCounts.lateEvents += counts.lateEvents
    networkCounts.resets += counts.resets
    networkCounts.halfCloses += counts.halfCloses
    networkCounts.exhaustedAccepts += counts.exhaustedAccepts
    for client in clients { client.noteEnd(serverIsGone: true) }
    for client in amqpClients { client.noteEnd(serverIsGone: true) }
  }

  private func losePower() {
    endProcess()
    crashes += 1
    disk = disk.crash(seed: random.next())
    // Sooner or later in the next life, often while it recovers.
    if crashes < 4 { disk.setFault(.crash, atOperation: Int.random(in: 1...400, using: &random)) }
  }

  /// The process is killed, and the machine goes on or loses power, too. The disk works again.
  private func restartAfterFailure() {
    failures += 1
    endProcess()
    disk.clearFaults()
    if Bool.random(using: &random) { disk = disk.crash(seed: random.next()) } else { disk.restartProcess() }
    mayFail = false
    start()
  }

  private func stopCleanly() {
    stops += 1
    let code = machine?.server.shutDown()
    if disk.hasCrashed { return losePowerAndStart() }
    if code != 0, !mayFail { ledger.complain("a clean stop ended with \(code ?? -1)") }
    endProcess()
    disk.restartProcess()
    start()
  }

  private func losePowerAndStart() {
    losePower()
    start()
  }

  // MARK: Steps

  /// Runs all steps. `between` is called before each.
  func run(between: (Int) -> Void = { _ in }) {
    start()
    for number in 0..<steps where ledger.complaints.isEmpty {
      between(number)
      step()
    }
  }

  private func step() {
    for client in clients { act(client) }
    for client in amqpClients { client.act() }
    network.deliver()
    pass(ms: passMs())
    // A stop with a full disk waits for space, or is an error.
    if Int.random(in: 0..<300, using: &random) == 0, disk.capacityBytes == .max { stopCleanly() }
  }

  /// Lets the other threads keep up: while slices move there is no checkpoint, and on a full disk the journal's reserve must
  /// last for so long.
  func keepUp() {
    for _ in 0..<200 where ledger.complaints.isEmpty {
      background(40)
      pass(ms: 0)
      if machine?.server.broker.isReadyForCheckpoint != false { return }
    }
  }

  private func passMs() -> Int64 {
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<40: 0
    case 40..<75: Int64.random(in: 1...20, using: &random)
    case 75..<95: Int64.random(in: 20...900, using: &random)
    case 95..<99: Int64.random(in: 900...20_000, using: &random)
    default: Int64.random(in: 20_000...200_000, using: &random)
    }
  }

  private func act(_ client: Client) {
    client.noteEnd()
    if client.socket == nil {
      guard Int.random(in: 0..<3, using: &random) == 0 else { return }
      client.connect()
      client.introduce()
    }
    // A slow reader reads little and seldom.
    if Int.random(in: 0..<3, using: &random) > 0 {
      client.read(Bool.random(using: &random) ? .max : Int.random(in: 0..<200, using: &random))
    }
    guard client.isConnected else { return }
    for _ in 0..<Int.random(in: 0...3, using: &random) { client.askSomething() }
    switch Int.random(in: 0..<120, using: &random) {
    case 0: client.reset()
    case 1: client.finish()
    default: break
    }
  }

  /// Lets time pass, and everybody do what there is to do meanwhile.
  func pass(ms: Int64) {
    network.allowanceNs = ms * TimeUnits.nsPerMs
    var turns = 0
    repeat {
      turn()
      // The reserve of a full disk lasts for threads that keep up.
      background(disk.capacityBytes < .max ? 200 : Int.random(in: 0...6, using: &random))
      turns += 1
      if turns > 20_000 { return ledger.complain("the loop does not come to rest") }
      if revive() { return }
    } while network.allowanceNs > 0 && ledger.complaints.isEmpty
  }

  private func turn() {
    guard let machine else { return }
    do { try machine.server.turn() } catch { ledger.complain("the loop stopped: \(error)") }
    time.nowNs += Int64.random(in: 0..<200_000, using: &random)
  }

  /// The other threads go on, in any order.
  func background(_ count: Int) {
    guard let machine else { return }
    var idle = 0
    for _ in 0..<count where idle < 12 && !disk.hasCrashed {
      idle = machine.run(thread: Int.random(in: 0..<3, using: &random)) ? 0 : idle + 1
    }
  }

  /// Starts again what has stopped; whether anything had.
  private func revive() -> Bool {
    if disk.hasCrashed {
      losePowerAndStart()
      return true
    }
    guard machine?.hasFailed == true else { return false }
    guard mayFail else {
      ledger.complain("the store stopped: \(String(describing: machine?.server.broker.failure))")
      return true
    }
    // Clients go on asking for a while, and hear refusals.
    if Int.random(in: 0..<40, using: &random) > 0 { return network.allowanceNs == 0 }
    restartAfterFailure()
    return true
  }

  // MARK: Rest

  /// Everything calm: every client reads all, every thread has done its work, nothing is on its way.
  func rest(passMs: Int64 = 0) {
    network.isSmooth = true
    for round in 1...3000 where ledger.complaints.isEmpty {
      for client in clients {
        client.noteEnd()
        client.read(.max)
      }
      for client in amqpClients {
        client.noteEnd()
        client.read(.max)
      }
      network.deliver()
      // Now and then time passes: a listener may have been left alone for a second.
      pass(ms: round % 100 == 0 ? max(passMs, 50) : passMs)
      background(200)
      network.isSmooth = true
      if let machine, machine.isIdle, !clients.contains(where: \.hasUnanswered),
        !amqpClients.contains(where: \.hasUnanswered)
      {
        ledger.rest()
        network.isSmooth = false
        return
      }
    }
    let unanswered =
      clients.flatMap(\.asked).map { "\($0.rid) \($0.about)" } + amqpClients.map(\.unanswered).filter { !$0.isEmpty }
    ledger.complain("the server never comes to rest; idle: \(machine?.isIdle == true), unanswered: \(unanswered)")
  }

  /// No more faults: the disk works and has space, and the server runs.
  func heal() {
    disk.clearFaults()
    disk.capacityBytes = .max
    if disk.hasCrashed { losePowerAndStart() }
    if machine?.hasFailed == true { restartAfterFailure() }
    disk.clearFaults()
    mayFail = false
  }

  /// What a run has met, for people.
  var shownCounts: [String: Int] {
    var all = counts
    all["~ loss of power"] = crashes
    all["~ clean stop"] = stops
    all["~ failed store"] = failures
    let network = networkCounts
    all["~ partial read"] = network.partialReads
    all["~ partial write"] = network.partialWrites
    all["~ full socket"] = network.fullSockets
    all["~ late event"] = network.lateEvents
    all["~ reset"] = network.resets
    all["~ half-close"] = network.halfCloses
    all["~ no descriptor"] = network.exhaustedAccepts
    all["~ disk operation"] = disk.operations
    return all
  }
}
