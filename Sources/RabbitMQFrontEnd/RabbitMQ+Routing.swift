// From an exchange, routing keys and headers to queues.

import Broker
import LineProtocol

extension RabbitMQ {
  /// The queues that a message goes to, each once, in the order in which they were found. The alternate exchange is asked
  /// when an exchange itself finds none.
  func route(_ exchange: Exchange, _ keys: [Text], _ headers: () -> [Text: JSONTree]) -> [Queue] {
    routings += 1
    var found: [Queue] = []
    func take(_ queue: Queue) {
      guard queue.visited != routings else { return }
      queue.visited = routings
      found.append(queue)
    }
    var next: Exchange? = exchange
    while found.isEmpty, let exchange = next, exchange.visited != routings {
      exchange.visited = routings
      if exchange.name.isEmpty {
        for key in keys { if let queue = queues[key] { take(queue) } }
      } else {
        exchange.route(keys, headers, take)
      }
      next = exchange.alternate.flatMap { exchanges[$0] }
    }
    return found
  }
}
