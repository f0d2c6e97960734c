// A channel of an AMQP connection: where it stands between frames, and what it has to say at the end of the turn.
//
// Leaves to others: consumers, deliveries and queues (RabbitMQChannel).

import AMQPProtocol
import Primitives
import RabbitMQFrontEnd

/// A channel.
final class AMQPChannel {
  let number: UInt16
  let operations: RabbitMQChannel
  @exclusivity(unchecked) var order = FrameOrder()
  /// The message that is coming in.
  @exclusivity(unchecked) var content = AMQPContent()
  /// `channel.close` was sent; nothing but its answer counts.
  var isClosing = false
  /// The confirms that are owed; nil unless the client wants any.
  @exclusivity(unchecked) var confirms: AMQPConfirms?

  init(_ number: UInt16, _ operations: RabbitMQChannel) {
    self.number = number
    self.operations = operations
  }
}

/// The channels of a connection by their numbers.
struct AMQPChannels {
  // By number; clients count up from 1.
  private var table: [AMQPChannel?] = []
  private(set) var count = 0

  @inline(__always) subscript(number: UInt16) -> AMQPChannel? {
    Int(number) < table.count ? table[Int(number)] : nil
  }

  mutating func add(_ channel: AMQPChannel) {
    while table.count <= Int(channel.number) { table.append(nil) }
    table[Int(channel.number)] = channel
    count += 1
  }

  mutating func remove(_ channel: AMQPChannel) {
    table[Int(channel.number)] = nil
    count -= 1
  }

  /// All of them, by number.
  var inOrder: [AMQPChannel] { table.compactMap { $0 } }

  mutating func removeAll() {
    table = []
    count = 0
  }
}
