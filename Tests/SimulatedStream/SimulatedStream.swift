// One node's connection to the simulated stream.
//
// Holds: each call has one outcome; what it has sent may arrive after it is gone.
// Leaves to others: what the stream does with a call (TrueStream).

import ReplicatedStream

/// A `ReplicatedStream` for simulations. The time that it is told does not matter: it has that of the world.
public final class SimulatedStream: ReplicatedStream {
  private let stream: TrueStream
  private var world: SimulatedWorld { stream.world }
  private var events: [StreamEvent] = []
  /// Calls without an outcome, with what is told when none comes.
  private var open: [StreamCall: StreamEvent] = [:]
  private var nextCall: UInt64 = 1
  /// Appends usually arrive in the order in which they were sent.
  private var lastArrivalNs: Int64 = 0
  /// How long this node's appends take for a while; nil for what the faults say.
  public var appendDelayNs: ClosedRange<Int64>?
  /// Whether the process is alive: otherwise nobody hears.
  private var isOpen = true
  /// Whether the node is connected.
  public private(set) var link = StreamLink.connected

  init(_ stream: TrueStream) { self.stream = stream }

  /// That of the stream.
  public var identity: StreamIdentity? { stream.identity }
  /// As with NATS.
  public var entryBytesMax: Int { 1_000_000 }
  /// At once when there is something to be told.
  public var nextTurnMs: Int64 { events.isEmpty ? .max : 0 }
  /// Nothing: the world moves.
  public func turn(nowMs: Int64) {}
  /// The next thing that has happened.
  public func nextEvent() -> StreamEvent? { events.isEmpty ? nil : events.removeFirst() }
  /// Whether calls are waiting for their outcomes.
  public var isWaiting: Bool { !open.isEmpty || !events.isEmpty }

  /// The process ends: what it has sent goes on, what comes back is heard by nobody.
  public func close() {
    isOpen = false
    stream.disconnect(self)
  }

  /// Cuts the connection for a while.
  public func cut(forNs ns: Int64) {
    guard link == .connected, isOpen else { return }
    stream.disconnect(self)
    for call in open.keys.sorted(by: { $0.number < $1.number }) { finish(call, nil) }
    link = .away
    events.append(.link(.away))
    world.after(ns: ns) { [weak self] in self?.reconnect() }
  }

  private func reconnect() {
    guard isOpen else { return }
    stream.connect(again: self)
    link = .connected
    events.append(.link(.connected))
  }

  func hear(_ event: StreamEvent) { if isOpen, link == .connected { events.append(event) } }

  // MARK: Calls

  /// Sends an append; it may arrive late, or never.
  public func append(_ bytes: UnsafeRawBufferPointer, expecting last: EntrySequence) -> StreamCall {
    let call = begin { .appended($0, .unknown) }
    let bytes = Array(bytes)
    guard link == .connected else { return call }
    if world.isDrawn(oneIn: stream.faults.lostAppends) { return call }
    let isLate = world.isDrawn(oneIn: stream.faults.lateAppends)
    let usualNs = appendDelayNs ?? 30_000...stream.faults.delayNsMax
    let delayNs = world.draw(isLate ? 1_000_000...4_000_000_000 : usualNs)
    if !isLate { lastArrivalNs = max(lastArrivalNs, world.nowNs + delayNs) }
    let arrivesNs = isLate ? world.nowNs + delayNs : lastArrivalNs
    world.after(ns: arrivesNs - world.nowNs) { [weak self, stream] in
      let isGivenUp = self?.open[call] == nil
      let outcome = stream.arrived(bytes, expecting: last, isGivenUp: isGivenUp)
      if let outcome { self?.answer(call, .appended(call, outcome)) }
    }
    return call
  }

  /// Asks a machine that may be behind.
  public func read(from first: EntrySequence, maxBytes: Int) -> StreamCall {
    let call = begin { .read($0, .unknown) }
    ask(call) { [stream] in .read(call, stream.read(from: first, maxBytes: maxBytes)) }
    return call
  }

  /// Asks the machine that leads the stream, or one that believes so.
  public func last() -> StreamCall {
    let call = begin { .last($0, .unknown) }
    ask(call) { [stream] in stream.isLeaderless ? nil : .last(call, stream.end()) }
    return call
  }

  /// Sends a truncation.
  public func truncate(below first: EntrySequence) -> StreamCall {
    let call = begin { .truncated($0, .unknown) }
    ask(call) { [stream] in
      if stream.isLeaderless { return nil }
      stream.truncate(below: first)
      return .truncated(call, .done)
    }
    return call
  }

  private func begin(_ unknown: (StreamCall) -> StreamEvent) -> StreamCall {
    let call = StreamCall(nextCall)
    nextCall += 1
    open[call] = unknown(call)
    if link == .away {
      finish(call, nil)
    } else {
      world.after(ns: TrueStream.patienceNs) { [weak self] in self?.finish(call, nil) }
    }
    return call
  }

  private func ask(_ call: StreamCall, _ event: @escaping () -> StreamEvent?) {
    guard link == .connected else { return }
    world.after(ns: world.draw(30_000...900_000)) { [weak self] in
      if let event = event() { self?.answer(call, event) }
    }
  }

  private func answer(_ call: StreamCall, _ event: StreamEvent) {
    if world.isDrawn(oneIn: stream.faults.lostAnswers) { return }
    world.after(ns: world.draw(20_000...900_000)) { [weak self] in self?.finish(call, event) }
  }

  /// Tells the outcome of a call, `unknown` without one, unless it was told before.
  private func finish(_ call: StreamCall, _ event: StreamEvent?) {
    guard let unknown = open.removeValue(forKey: call), isOpen else { return }
    events.append(event ?? unknown)
  }
}
