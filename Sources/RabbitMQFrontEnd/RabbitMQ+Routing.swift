// From an exchange, routing keys and headers to queues and native topics, and to the exchanges that delay the message first.
//
// Holds: an exchange is visited once, whatever circle the bindings between exchanges make; a queue is found once.

import Broker
import LineProtocol

/// Where a message goes.
struct Routes {
  /// Queues, each once, in the order in which they were found.
  var queues: [Queue] = []
  /// Native topics, each once, in the order in which they were found.
  var topics: [QueueTarget] = []
  /// Whether bindings lead to native topics, which come and go without notice.
  var namesTopics = false
  /// Exchanges that delay the message and route it when its time has come, each once.
  var delaying: [Exchange] = []

  var isEmpty: Bool { queues.isEmpty && topics.isEmpty && delaying.isEmpty }
}

extension RabbitMQ {
  /// Where a message goes. An exchange that is visited and none of whose bindings matches sends the message to its alternate
  /// exchange.
  ///
  /// - Parameter isDelayed: whether the message waits in an exchange that delays. Asked where there is one.
  func route(
    _ exchange: Exchange, _ keys: [Text], isDelayed: () -> Bool, _ headers: () -> [Text: JSONTree]
  ) -> Routes {
    routings += 1
    exchange.visited = routings
    var found = Routes()
    // Empty, and so without memory of its own, while there are queues only.
    var next: [Exchange] = []
    func take(_ queue: Queue) {
      guard queue.visited != routings else { return }
      queue.visited = routings
      found.queues.append(queue)
    }
    func take(_ topic: BoundTopic) {
      guard topic.visited != routings else { return }
      topic.visited = routings
      found.namesTopics = true
      if let target = target(topic) { found.topics.append(target) }
    }
    func take(_ exchange: Exchange) {
      guard exchange.visited != routings else { return }
      exchange.visited = routings
      next.append(exchange)
    }
    func visit(_ exchange: Exchange) {
      if exchange.relay != nil, isDelayed() { return found.delaying.append(exchange) }
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
          case .topic(let topic): take(topic)
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
