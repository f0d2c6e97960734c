// The room of held messages: accepted and durable, but in no topic until their owner decides about them. The owner is asked
// from time to time; a message whose owner never answers is abandoned.
//
// Holds: a held message ends in one of three ways, each one record: released into its topic, dropped, or abandoned into the
// topic for that. `bytes` is the memory of all of them.
// Leaves to others: appending to topics and remembering outcomes (`Holding`), who the owner is and how to ask it
// (`Notice.heldCheck`).

import Primitives
import TimingWheel

/// The number of a held message: the sequence in its record.
public typealias HeldNumber = UInt64

/// A held message. Its record is good as long as the message is held.
public final class HeldMessage {
  /// Its number.
  public let number: HeldNumber
  /// Who decides about it: a name.
  public let owner: String
  /// How often the owner has been asked.
  public fileprivate(set) var checks: UInt32
  /// The message.
  public let record: MessageRecord
  fileprivate(set) var nextCheckMs: UnixMs
  fileprivate var timer = TimerID.none

  init(copyOf record: MessageRecord, owner: String, checks: UInt32, nextCheckMs: UnixMs) {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: record.length, alignment: 8)
    memory.copyMemory(from: record.base, byteCount: record.length)
    self.record = MessageRecord(memory)
    number = record.sequence
    self.owner = owner
    self.checks = checks
    self.nextCheckMs = nextCheckMs
  }

  deinit { record.base.deallocate() }

  /// Its id.
  public var id: GeneratedID { GeneratedID(number) }
  /// Memory that it takes, approximately.
  var bytes: Int { record.length + owner.utf8.count + 160 }
}

/// Held messages.
final class Held {
  private let turn: Turn
  private let timers: Timers
  private var messages: [HeldNumber: HeldMessage] = [:]
  /// Memory of the held messages, approximately.
  private(set) var bytes = 0

  init(_ turn: Turn, _ timers: Timers) {
    self.turn = turn
    self.timers = timers
  }

  /// How many there are.
  var count: Int { messages.count }

  /// A held message; nil when it has ended.
  subscript(number: HeldNumber) -> HeldMessage? { messages[number] }

  /// In the order in which they came.
  private var inOrder: [HeldMessage] { messages.values.sorted { $0.number < $1.number } }

  func apply(_ held: MessageHeld) {
    let owner = String(decoding: held.owner, as: UTF8.self)
    keep(HeldMessage(copyOf: held.message.record, owner: owner, checks: 0, nextCheckMs: held.nextCheckMs))
  }

  func apply(_ checked: HeldChecked) {
    guard let message = messages[checked.number] else { return }
    message.checks += 1
    message.nextCheckMs = checked.nextCheckMs
    if !turn.isReplaying { startTimer(message) }
  }

  private func keep(_ message: HeldMessage) {
    messages[message.number] = message
    bytes += message.bytes
    if !turn.isReplaying { startTimer(message) }
  }

  /// Removes a message that ends; nil when it has ended before.
  func take(_ number: HeldNumber) -> HeldMessage? {
    guard let message = messages.removeValue(forKey: number) else { return nil }
    timers.stop(message.timer)
    message.timer = .none
    bytes -= message.bytes
    return message
  }

  /// Removes what is held for a topic that is deleted. O(held messages).
  func drop(topic: UInt32) {
    for message in inOrder where message.record.topic == topic { _ = take(message.number) }
  }

  // MARK: Asking

  private func startTimer(_ message: HeldMessage) {
    timers.stop(message.timer)
    message.timer = timers.start(dueMs: message.nextCheckMs, TimerTarget(kind: .held, value: message.number))
  }

  /// The message that a timer was started for; nil when the message has ended or has another timer.
  func timerFired(_ number: HeldNumber, _ timer: TimerID) -> HeldMessage? {
    guard let message = messages[number], message.timer == timer else { return nil }
    message.timer = .none
    return message
  }

  /// Sets the time of the next question without counting one.
  func postpone(_ message: HeldMessage, untilMs: UnixMs) {
    message.nextCheckMs = untilMs
    startTimer(message)
  }

  /// Ends replay: questions to owners begin.
  func start() { for message in inOrder { startTimer(message) } }
}

// MARK: State

extension Held {
  /// Bytes in a checkpoint: u32 n: owner, u32 checks, i64 next check, u32 bytes, message record.
  func write(to writer: inout StateWriter) {
    writer.write(UInt32(messages.count))
    for message in inOrder {
      writer.write(message.owner)
      writer.write(message.checks)
      writer.write(message.nextCheckMs)
      writer.write(message.record.bytes)
    }
  }

  /// What a checkpoint says of held messages.
  struct State {
    var messages: [HeldMessage] = []

    init() {}

    init(_ reader: inout StateReader) throws(CheckpointFault) {
      for _ in 0..<(try reader.read(UInt32.self)) {
        let owner = try reader.readText()
        let checks = try reader.read(UInt32.self)
        let nextCheckMs = try reader.read(Int64.self)
        messages.append(
          try reader.readBytes().withBytes { bytes throws(CheckpointFault) in
            guard bytes.count >= MessageRecord.headerLength else { throw CheckpointFault.short }
            let record = MessageRecord(bytes.baseAddress!)
            guard record.length == bytes.count else { throw CheckpointFault.short }
            return HeldMessage(copyOf: record, owner: owner, checks: checks, nextCheckMs: nextCheckMs)
          })
      }
    }
  }

  func recover(_ state: State) { for message in state.messages { keep(message) } }

  func digest(into lines: inout [String]) {
    for message in inOrder {
      lines.append("held \(message.number) \(message.record.topic) \(message.owner) \(message.checks)")
    }
  }

  /// O(held messages).
  func checkInvariants() {
    var sum = 0
    for (number, message) in messages {
      precondition(message.number == number, "a held message stands under another number")
      sum += message.bytes
    }
    precondition(sum == bytes, "held messages take \(sum) bytes, not \(bytes)")
  }
}
