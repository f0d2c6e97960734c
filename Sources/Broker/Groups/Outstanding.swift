// What is known of a message between its first delivery and its end, and the order in which messages come again.
//
// Leaves to others: where the entries are kept (OutstandingTable), timers, who gets them (Groups+Dispatch).

import Primitives
import TimingWheel

/// A message between its first delivery and its end.
struct Outstanding: BitwiseCopyable {
  enum State: UInt8, BitwiseCopyable {
    /// With a consumer, its ack wait running.
    case inFlight
    /// To be delivered again as soon as somebody can take it.
    case ready
    /// To be delivered again after a time.
    case waiting
    /// Behind another message of its key; never delivered yet.
    case parked
    /// Delivered too often, rejected or expired: to become a dead letter.
    case deadLettering
  }

  var offset: TopicOffset
  var attempts: UInt32 = 0
  var state = State.inFlight
  /// The consumer that has it; `noConsumer` when none does.
  var consumer = Outstanding.noConsumer
  var timer = TimerID.none
  /// Hash of its ordering key; 0 for none.
  var keyHash: UInt64 = 0
  /// In a queue: its time to live ended while it was with a consumer.
  var isExpired = false
  /// In `deadLettering`: the `EndReason`.
  var reason: UInt8 = 0
  /// In a queue that goes by priorities: that of the message.
  var priority: UInt8 = 0
  /// In a bounded queue: the bytes of its body.
  var bodyBytes: UInt32 = 0
  /// In `waiting`: until when.
  var untilMs: UnixMs = 0

  /// In a queue: whether it stands in its place, to be delivered now or when its time comes.
  @inline(__always) var isWithoutConsumer: Bool { state == .ready || state == .waiting }

  /// Its place in the line of messages to be delivered: the higher priority first, and then the lower offset.
  @inline(__always) var rank: UInt64 { UInt64(.max - priority) << 56 | offset }
  /// The offset that a rank was made of.
  @inline(__always) static func offset(rank: UInt64) -> TopicOffset { rank & (1 << 56 - 1) }

  static let noConsumer = UInt32.max
  static let none = TopicOffset.max

  /// State, reason and whether its time has ended as one byte of a checkpoint.
  var marks: UInt8 {
    get { state.rawValue | reason << 4 | (isExpired ? 0x80 : 0) }
    set {
      state = State(rawValue: newValue & 0x0F) ?? .ready
      reason = newValue >> 4 & 0x07
      isExpired = newValue & 0x80 != 0
    }
  }
}

/// Ranks of messages to be delivered again, the smallest first. May hold stale ones: ask the table.
struct RankHeap {
  private var elements: [UInt64] = []

  var first: UInt64? { elements.first }
  var isEmpty: Bool { elements.isEmpty }
  /// All of them, in no order.
  var all: [UInt64] { elements }

  mutating func insert(_ rank: UInt64) {
    elements.append(rank)
    var child = elements.count - 1
    while child > 0, elements[child] < elements[(child - 1) / 2] {
      elements.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  mutating func removeFirst() {
    elements[0] = elements[elements.count - 1]
    elements.removeLast()
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < elements.count && elements[child] < elements[least] {
        least = child
      }
      if least == parent { return }
      elements.swapAt(parent, least)
      parent = least
    }
  }

  mutating func removeAll() { elements = [] }
}
