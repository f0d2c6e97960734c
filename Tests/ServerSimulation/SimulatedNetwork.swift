// A network in memory: sockets whose two ends are the server's loop and simulated clients.
//
// Holds: bytes arrive in order and in pieces of any size; a socket takes no more than its buffers hold; readiness may be told
// late, as by a busy machine; `wait` lets time pass only when there is nothing to do, and never more than the driver allows.
// Leaves to others: what the clients say (Client), when power fails (ServerSimulation).

import Primitives
import SeededRandom
import Synchronization

@testable import Platform
@testable import Server

/// Time that stands still unless somebody moves it.
final class SimulatedTime: MachineClock, Sendable {
  private let ns: Atomic<Int64>
  init(ms: UnixMs) { ns = Atomic(ms * TimeUnits.nsPerMs) }

  var nowNs: Int64 {
    get { ns.load(ordering: .relaxed) }
    set { ns.store(newValue, ordering: .relaxed) }
  }
  var nowMs: UnixMs { TimeUnits.msRoundedDown(ns: nowNs) }
  func bootNs() -> Int64 { nowNs - 1_600_000_000_000_000_000 }
  func wallNs() -> Int64 { nowNs }
}

/// Raised by what finishes beside the loop.
final class Alarm: Sendable {
  private let isRaised = Atomic(false)
  func raise() { isRaised.store(true, ordering: .relaxed) }
  func take() -> Bool { isRaised.exchange(false, ordering: .relaxed) }
}

/// One connection, seen from both ends.
final class SimulatedSocket {
  let descriptor: Int32
  /// What the server can read now, and what is still on its way.
  var incoming: [UInt8] = []
  var onTheWay: [UInt8] = []
  var clientFinishes = false
  /// The client has ended its side, and the server can read that.
  var inputEnded = false
  var isReset = false
  /// What the server has written and the client has not read.
  var unread = 0
  let capacity: Int
  var serverHasFinished = false
  var isClosedByServer = false
  var generation: UInt32 = 0
  var interest: Readiness?
  /// Gets what the server writes, at the moment when it is written.
  var onWrite: (UnsafeRawBufferPointer) -> Void = { _ in }

  init(descriptor: Int32, capacity: Int) {
    self.descriptor = descriptor
    self.capacity = capacity
  }

  var readiness: Readiness {
    guard let interest else { return [] }
    if isReset { return [.error, .hangUp] }
    var ready: Readiness = []
    if !incoming.isEmpty || inputEnded { ready.insert(.readable) }
    if unread < capacity { ready.insert(.writable) }
    ready = ready.intersection(interest)
    if inputEnded, incoming.isEmpty, serverHasFinished { ready.insert(.hangUp) }
    return ready
  }
}

/// The network of one process of the server.
final class SimulatedNetwork: Network {
  /// How often each kind of trouble has happened.
  struct Counts {
    var partialReads = 0
    var partialWrites = 0
    var fullSockets = 0
    var lateEvents = 0
    var resets = 0
    var halfCloses = 0
    var exhaustedAccepts = 0
  }

  /// The ends of connections have the numbers above.
  private static let listenersMax: Int32 = 3
  private let time: SimulatedTime
  private let alarm: Alarm
  private var random: SplitMix64
  // In the order in which the server has begun to listen.
  private var listeners: [Int32] = []
  private var isWatched: Set<Int32> = []
  private var waiting: [Int32: [SimulatedSocket]] = [:]
  private var sockets: [Int32: SimulatedSocket] = [:]
  private var events: [NetworkEvent] = []
  /// How long `wait` may still let time pass.
  var allowanceNs: Int64 = 0
  /// Whether the next `wait` asks the server to stop.
  private(set) var counts = Counts()
  /// Whether readiness is always told at once, and sockets take all there is.
  var isSmooth = false

  init(time: SimulatedTime, alarm: Alarm, seed: UInt64) {
    self.time = time
    self.alarm = alarm
    random = SplitMix64(seed: seed)
  }

  private func chance(_ n: Int) -> Bool { !isSmooth && Int.random(in: 0..<n, using: &random) == 0 }

  // MARK: The clients' end

  /// A new connection to the listener of this place, which the server has still to accept.
  func connect(to listener: Int = 0) -> SimulatedSocket {
    var descriptor = Self.listenersMax + 1
    while sockets[descriptor] != nil { descriptor += 1 }
    let capacity = [200, 2000, 60_000].randomElement(using: &random) ?? 2000
    let socket = SimulatedSocket(descriptor: descriptor, capacity: capacity)
    sockets[descriptor] = socket
    waiting[listeners[listener], default: []].append(socket)
    return socket
  }

  /// Lets some of what clients have sent arrive.
  func deliver() {
    for socket in inOrder {
      let count = isSmooth ? socket.onTheWay.count : Int.random(in: 0...socket.onTheWay.count, using: &random)
      socket.incoming += socket.onTheWay[..<count]
      socket.onTheWay.removeFirst(count)
      if socket.onTheWay.isEmpty, socket.clientFinishes { socket.inputEnded = true }
    }
  }

  func finish(_ socket: SimulatedSocket) {
    counts.halfCloses += 1
    socket.clientFinishes = true
  }

  /// The client is gone without a word; nothing that is still on its way arrives.
  func reset(_ socket: SimulatedSocket) {
    counts.resets += 1
    socket.isReset = true
    socket.incoming = []
    socket.onTheWay = []
  }

  private var inOrder: [SimulatedSocket] { sockets.values.sorted { $0.descriptor < $1.descriptor } }

  // MARK: The server's end

  func listen(host: String, port: UInt16) throws(SystemError) -> (descriptor: Int32, port: UInt16) {
    let listener = Self.listenersMax - Int32(listeners.count)
    listeners.append(listener)
    return (listener, port)
  }

  func accept(_ listener: Int32) -> AcceptResult {
    if waiting[listener, default: []].isEmpty { return .none }
    if chance(40) {
      counts.exhaustedAccepts += 1
      return .exhausted(24)
    }
    return .connection(waiting[listener]!.removeFirst().descriptor)
  }

  func peer(_ descriptor: Int32) -> PeerAddress { .loopback }

  private func isListener(_ descriptor: Int32) -> Bool { descriptor <= Self.listenersMax }

  private func socket(_ descriptor: Int32) -> SimulatedSocket {
    guard let socket = sockets[descriptor] else { preconditionFailure("descriptor \(descriptor) is open") }
    return socket
  }

  func read(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) -> TransferResult {
    let socket = socket(descriptor)
    if socket.isReset { return .failed(104) }
    if socket.incoming.isEmpty { return socket.inputEnded ? .closed : .wouldBlock }
    var count = min(buffer.count, socket.incoming.count)
    if chance(2), count > 1 {
      counts.partialReads += 1
      count = Int.random(in: 1..<count, using: &random)
    }
    buffer.copyBytes(from: socket.incoming[..<count])
    socket.incoming.removeFirst(count)
    return .bytes(count)
  }

  func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> TransferResult {
    let socket = socket(descriptor)
    precondition(!socket.serverHasFinished, "nothing is written behind the end")
    if socket.isReset { return .closed }
    let room = isSmooth ? bytes.count : socket.capacity - socket.unread
    guard room > 0 else {
      counts.fullSockets += 1
      return .wouldBlock
    }
    var count = min(room, bytes.count)
    if chance(3), count > 1 { count = Int.random(in: 1..<count, using: &random) }
    if count < bytes.count { counts.partialWrites += 1 }
    socket.unread += count
    socket.onWrite(UnsafeRawBufferPointer(rebasing: bytes[..<count]))
    return .bytes(count)
  }

  func finishWriting(_ descriptor: Int32) { socket(descriptor).serverHasFinished = true }

  func close(_ descriptor: Int32) {
    if isListener(descriptor) { return }
    socket(descriptor).isClosedByServer = true
    sockets[descriptor] = nil
  }

  func watch(_ descriptor: Int32, generation: UInt32, _ interest: Readiness) throws(SystemError) {
    if isListener(descriptor) {
      isWatched.insert(descriptor)
    } else {
      socket(descriptor).generation = generation
      socket(descriptor).interest = interest
    }
  }

  func setInterest(_ descriptor: Int32, generation: UInt32, _ interest: Readiness) throws(SystemError) {
    socket(descriptor).interest = interest
  }

  func unwatch(_ descriptor: Int32) throws(SystemError) {
    if isListener(descriptor) { isWatched.remove(descriptor) } else { socket(descriptor).interest = nil }
  }

  func wait(timeoutNs: Int64) throws(SystemError) -> Int {
    events = []
    var isReady = false
    for listener in listeners where isWatched.contains(listener) && !waiting[listener, default: []].isEmpty {
      note(listener, 0, .readable, &isReady)
    }
    for socket in inOrder where !socket.readiness.isEmpty {
      note(socket.descriptor, socket.generation, socket.readiness, &isReady)
    }
    events.shuffle(using: &random)
    if !alarm.take(), !isReady, timeoutNs != 0 {
      let passNs = timeoutNs < 0 ? allowanceNs : min(timeoutNs, allowanceNs)
      time.nowNs += passNs
      allowanceNs -= passNs
    }
    return events.count
  }

  private func note(_ descriptor: Int32, _ generation: UInt32, _ readiness: Readiness, _ isReady: inout Bool) {
    isReady = true
    if chance(8) {
      counts.lateEvents += 1
    } else {
      events.append(.ready(ReadyEvent(descriptor: descriptor, generation: generation, readiness: readiness)))
    }
  }

  func event(_ place: Int) -> NetworkEvent { events[place] }
}
