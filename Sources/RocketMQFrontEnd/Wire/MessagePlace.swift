// Where a message is, as the one number that the protocol has for it: its physical offset.
//
//   bit 62 clear   bits 40 to 61: number of the topic; bits 0 to 39: offset in the topic
//   bit 62 set     bits 0 to 61: the sequence of its acceptance, of a message that is pending or held
//
// Holds: a number names one message of a data folder for ever. Clients give it back to look at a message, to send it back and to
// end a transaction; none of these requests needs to say more.
// Leaves to others: whether the message is still there.

import Primitives

/// A message's place.
public enum MessagePlace: Equatable, Sendable {
  /// In its topic.
  case released(topic: UInt32, offset: TopicOffset)
  /// Accepted, and in no topic yet.
  case accepted(Sequence)

  private static let offsetBits: UInt64 = 40
  private static let acceptedBit: UInt64 = 1 << 62
  /// What no message has: shown for places beyond four million topics or a million million messages of one.
  private static let nowhere = Int64.max

  /// The number.
  public var physicalOffset: Int64 {
    switch self {
    case .released(let topic, let offset):
      guard topic < 1 << 22, offset < 1 << Self.offsetBits else { return Self.nowhere }
      return Int64(UInt64(topic) << Self.offsetBits | offset)
    case .accepted(let sequence):
      guard sequence < Self.acceptedBit else { return Self.nowhere }
      return Int64(Self.acceptedBit | sequence)
    }
  }

  /// Reads a number that a client gives; nil for a negative one.
  public init?(physicalOffset: Int64) {
    guard let number = UInt64(exactly: physicalOffset) else { return nil }
    if number & Self.acceptedBit != 0 {
      self = .accepted(number & ~Self.acceptedBit)
    } else {
      self = .released(
        topic: UInt32(number >> Self.offsetBits), offset: number & (1 << Self.offsetBits - 1))
    }
  }
}
