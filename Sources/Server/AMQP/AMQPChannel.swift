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
  // Clients count up from 1; a table for one that counts down from 65535 would take half a megabyte.
  private static let tableMax = AMQPLimits.channelMax
  private var table: [AMQPChannel?] = []
  private var others: [UInt16: AMQPChannel] = [:]
  private(set) var count = 0

  @inline(__always) subscript(number: UInt16) -> AMQPChannel? {
    if Int(number) < table.count { return table[Int(number)] }
    return others.isEmpty ? nil : others[number]
  }

  mutating func add(_ channel: AMQPChannel) {
    count += 1
    guard Int(channel.number) <= Self.tableMax else { return others[channel.number] = channel }
    while table.count <= Int(channel.number) { table.append(nil) }
    table[Int(channel.number)] = channel
  }

  mutating func remove(_ channel: AMQPChannel) {
    count -= 1
    guard Int(channel.number) <= Self.tableMax else { return others[channel.number] = nil }
    table[Int(channel.number)] = nil
  }

  /// All of them, by number.
  var inOrder: [AMQPChannel] {
    table.compactMap { $0 } + others.values.sorted { $0.number < $1.number }
  }

  mutating func removeAll() { self = AMQPChannels() }
}
