// Where messages of the same exchange and routing key went last, so that the next one need not be routed anew.
//
// Holds: everything in it was found since exchanges, queues or bindings last changed.
// Leaves to others: routing (RabbitMQ+Routing), what a message needs to go this way (RabbitMQ+DirectPublishing).

import Broker
import Primitives

/// What exchange and routing key alone say of where a message goes.
final class KnownRoute {
  private let exchange: [UInt8]
  private let key: [UInt8]
  /// The queues, and how long each lets a message wait; nil when exchange and key do not say it all: by headers, through an
  /// exchange that delays, into a queue that may refuse.
  let targets: [QueueTarget]?
  /// Whether one of the queues outlives the server.
  let hasDurableQueue: Bool

  init(
    _ exchange: UnsafeRawBufferPointer, _ key: UnsafeRawBufferPointer, _ targets: [QueueTarget]?, hasDurableQueue: Bool
  ) {
    self.exchange = Array(exchange)
    self.key = Array(key)
    self.targets = targets
    self.hasDurableQueue = hasDurableQueue
  }

  @inline(__always)
  func isFor(_ exchange: UnsafeRawBufferPointer, _ key: UnsafeRawBufferPointer) -> Bool {
    Self.isSame(self.exchange, exchange) && Self.isSame(self.key, key)
  }

  @inline(__always) private static func isSame(_ known: [UInt8], _ given: UnsafeRawBufferPointer) -> Bool {
    known.count == given.count && known.withUnsafeBytes { $0.elementsEqual(given) }
  }
}

/// The routes found of late: a table in which a route takes the place of the one that was there.
struct KnownRoutes {
  private static let count = 1024
  private var table: [KnownRoute?] = []
  private var isEmpty = true

  /// Exchanges, queues or bindings have changed. O(1) until a route is found again.
  mutating func forget() {
    if isEmpty { return }
    table = []
    isEmpty = true
  }

  /// The route of this exchange and key, found anew when it is not known.
  @inline(__always)
  mutating func route(
    _ exchange: UnsafeRawBufferPointer, _ key: UnsafeRawBufferPointer, _ find: () -> KnownRoute
  ) -> KnownRoute {
    if isEmpty {
      table = Array(repeating: nil, count: Self.count)
      isEmpty = false
    }
    let position = Self.position(exchange, key)
    if let known = table[position], known.isFor(exchange, key) { return known }
    let found = find()
    table[position] = found
    return found
  }

  // FNV-1a: names are short, and whoever makes two of them collide only loses what the table would have saved.
  private static func position(_ exchange: UnsafeRawBufferPointer, _ key: UnsafeRawBufferPointer) -> Int {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in exchange { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    hash = (hash ^ 0xFF) &* 0x100_0000_01B3
    for byte in key { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    return Int(truncatingIfNeeded: hash ^ hash >> 32) & (count - 1)
  }
}
