// Which messages a data folder holds back, without a broker: for people who look at a folder at rest.
//
// Holds: a checkpoint and the records behind it give the messages that the room `Held` would have after a start (but for those
// whose topic a salvage would leave out).
// Leaves to others: reading the folder (the engine's check).

import Primitives

/// The held messages of a folder.
public struct HeldTally {
  /// The topic of each.
  private var topics: [HeldNumber: UInt32] = [:]

  /// The held messages of a checkpoint.
  public init(_ state: CheckpointState) {
    for message in state.held.messages { topics[message.number] = message.record.topic }
  }

  /// How many there are.
  public var count: Int { topics.count }

  /// Takes one journal record into account; to be called with each, in order.
  public mutating func follow(kind: UInt8, _ payload: UnsafeRawBufferPointer) {
    switch DecisionKind(rawValue: kind) {
    case .held:
      let record = MessageHeld(decoding: payload).message.record
      topics[record.sequence] = record.topic
    case .heldReleased: topics[HeldReleased(decoding: payload).number] = nil
    case .heldDropped: topics[HeldDropped(decoding: payload).number] = nil
    case .heldAbandoned: topics[HeldAbandoned(decoding: payload).number] = nil
    case .topicDeleted:
      var reader = PayloadReader(payload)
      let topic = reader.read(UInt32.self)
      topics = topics.filter { $0.value != topic }
    default: break
    }
  }
}
