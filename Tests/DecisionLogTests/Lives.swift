// Every kind of log behind the seam, through one life after the other; beside it what the log must remember.
//
// Holds: tests see the seam alone; how a life ends and how a write fails is arranged below it, here.

import Cluster
import DecisionLog
import Journal
import Primitives
import SimulatedDisk
import SimulatedLog
import SimulatedStream
import Synchronization

/// The logs there are.
enum LogKind: CaseIterable, Sendable { case journal, memory, severalMachines, replicated }

/// How a life ends.
enum Ending: CaseIterable, Sendable { case endOfProcess, lossOfPower }

/// What was written under a sequence.
struct Record: Equatable, Sendable {
  var sequence: Sequence
  var kind: UInt8
  var payload: [UInt8]
}

/// One log, life after life. One thread's own.
final class Lives: @unchecked Sendable {
  let kind: LogKind
  var random: SplitMix64
  private(set) var log: (any DecisionLog)!
  /// What the checkpoint would say; nil before the first life.
  private(set) var identity: LogIdentity?
  /// Everything submitted that has not been lost, from sequence 1.
  private(set) var written: [Record] = []
  /// The lifetime, in every payload.
  private var life: UInt8 = 0
  private var disk: SimulatedStorage
  private let medium: LogMedium
  private let replicas: Replicas
  private let now = Atomic<Int64>(0)

  init(_ kind: LogKind, seed: UInt64 = 1) {
    self.kind = kind
    random = SplitMix64(seed: seed)
    disk = SimulatedStorage(seed: seed)
    let identity = LogIdentity(store: StoreID(low: seed, high: 1), hashKey: StoreID(low: seed, high: 2))
    replicas = Replicas(seed: seed)
    medium = LogMedium(kind == .severalMachines ? .severalMachines : .oneMachine, identity: identity)
  }

  /// A log over what there is, not recovered yet.
  func open(_ identity: LogIdentity?) throws(LogError) -> any DecisionLog {
    if kind == .replicated { return replicas.open(identity) }
    if kind != .journal { return try MemoryLog(medium, identity: identity, syncTurns: Int(random.next() % 4)) }
    let settings = JournalSettings(segmentBytes: SegmentWriter.segmentBytesMin)
    let number = random.next()
    return try JournalLog(
      disk, identity: identity, settings: settings, random: { StoreID(low: number, high: 3) },
      clock: { [unowned self] in now.load(ordering: .relaxed) }, wake: {}, notify: {})
  }

  /// Recovers `log` from `first` on, and gives what it hands over.
  static func recover(
    _ log: any DecisionLog, from first: Sequence = 1, _ mode: RecoveryMode = .strict
  ) throws(LogError) -> (records: [Record], report: RecoveryReport) {
    var records: [Record] = []
    let report = try log.recover(from: first, mode) { sequence, kind, payload in
      records.append(Record(sequence: sequence, kind: kind, payload: Array(payload)))
    }
    return (records, report)
  }

  /// Starts a life, and gives what is there. What is not there is forgotten here, too.
  @discardableResult func start(from first: Sequence = 1) throws -> [Record] {
    life += 1
    log = try open(identity)
    if kind == .replicated { replicas.lead() }
    identity = log.identity
    let (records, report) = try Self.recover(log, from: first)
    try log.begin()
    written.removeLast(written.count - Int(report.nextSequence - 1))
    return records
  }

  /// Ends the life without another word.
  func end(_ ending: Ending) {
    let written = log.writtenSequence
    // It closes its files.
    log = nil
    switch (kind, ending) {
    case (.replicated, _): replicas.end()
    case (.journal, .endOfProcess): disk.restartProcess()
    case (.journal, .lossOfPower): disk = disk.crash(seed: random.next())
    case (_, .endOfProcess): medium.end(keeping: .random(in: written...medium.sent, using: &random))
    case (_, .lossOfPower): medium.end(keeping: .random(in: medium.durable...medium.sent, using: &random))
    }
  }

  /// Submits some records; gives the last sequence.
  @discardableResult func submit(records: Int = 1, payloadBytes: Int = 10, mustSync: Bool = true) -> Sequence {
    let buffer = log.takeBuffer()
    for _ in 0..<records {
      let payload = [life] + (0..<payloadBytes).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      let record = Record(sequence: buffer.nextSequence, kind: UInt8(random.next() % 255) + 1, payload: payload)
      buffer.begin(record.kind)
      payload.withUnsafeBytes { buffer.append(bytes: $0) }
      buffer.finish()
      written.append(record)
    }
    let last = buffer.lastSequence
    log.submit(buffer, mustSync: mustSync)
    return last
  }

  /// Says that a checkpoint holds what is up to `sequence`.
  func release(upTo sequence: Sequence) {
    log.release(upTo: sequence)
    if kind == .replicated { replicas.truncate(behind: sequence) }
  }

  /// Turns until there is nothing to do now.
  @discardableResult func settle() -> NextTurn {
    if kind == .replicated { return replicas.settle() }
    for _ in 0..<10_000 {
      let next = log.turn()
      if next != .now { return next }
    }
    return .now
  }

  /// Lets time pass until everything written is durable.
  func rest() {
    for _ in 0..<100 where log.durableSequence < written.count {
      now.wrappingAdd(10 * TimeUnits.nsPerMs, ordering: .relaxed)
      replicas.pass(ms: 10)
      settle()
    }
  }

  /// Lets the next write or sync fail.
  func failNext() {
    if let memory = log as? MemoryLog {
      memory.fail(StorageError(kind: .failed, operation: "write", path: "memory", reason: "a test"))
    } else if kind == .replicated {
      replicas.depose()
    } else {
      disk.setFault(.failOnce, atOperation: disk.operations + 1)
    }
  }
}
