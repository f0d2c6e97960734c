// From an exchange, routing keys and headers to queues.
//
// Holds: an exchange is visited once, whatever circle the bindings between exchanges make; a queue is found once.

import Broker
import LineProtocol

extension RabbitMQ {
  /// The queues that a message goes to, each once, in the order in which they were found. An exchange that is visited and
  /// none of whose bindings matches sends the message to its alternate exchange.
  func route(_ exchange: Exchange, _ keys: [Text], _ headers: () -> [Text: JSONTree]) -> [Queue] {
    routings += 1
    exchange.visited = routings
    var found: [Queue] = []
    // Empty, and so without memory of its own, while there are queues only.
    var next: [Exchange] = []
    func take(_ queue: Queue) {
      guard queue.visited != routings else { return }
      queue.visited = routings
      found.append(queue)
    }
    func take(_ exchange: Exchange) {
      guard exchange.visited != routings else { return }
      exchange.visited = routings
      next.append(exchange)
    }
    func visit(_ exchange: Exchange) {
      var matches = false
      if exchange.name.isEmpty {
        for key in keys {
          guard let queue = queues[key] else { continue }
          matches = true
          take(queue)
        }
      } else {
        exchange.route(keys, headers) { destination in
          matches = true
          switch destination {
          case .queue(let queue): take(queue)
          case .exchange(let exchange): take(exchange)
          }
        }
      }
      if !matches, let name = exchange.alternate, let alternate = exchanges[name] { take(alternate) }
    }
    visit(exchange)
    var position = 0
    while position < next.count {
      visit(next[position])
      position += 1
    }
    return found
  }
}
