// Exchanges and their bindings.

/// What an exchange routes by.
public enum ExchangeKind: String, Sendable, CaseIterable {
  case direct, fanout, topic, headers
}

/// A way from an exchange to a queue.
final class Binding: Equatable {
  let exchange: Exchange
  let queue: Queue
  let key: Text
  let arguments: [JSONTree.Member]
  let match: HeaderMatch?
  /// Its name in the catalog; nil when it does not outlive the server.
  var catalogName: [UInt8]?

  init(_ exchange: Exchange, _ queue: Queue, _ key: Text, _ arguments: [JSONTree.Member], _ match: HeaderMatch?) {
    self.exchange = exchange
    self.queue = queue
    self.key = key
    self.arguments = arguments
    self.match = match
  }

  static func == (left: Binding, right: Binding) -> Bool { left === right }
}

/// An exchange.
final class Exchange {
  let name: Text
  let kind: ExchangeKind
  let isDurable: Bool
  let isAutoDelete: Bool
  let isInternal: Bool
  let arguments: [JSONTree.Member]
  private(set) var bindings: [Binding] = []
  private var byKey: [Text: [Binding]] = [:]
  private var trie = TopicTrie<Binding>()

  var alternate: Text? { arguments.first { $0.key == "alternate-exchange" }?.value.text }
  var isPredeclared: Bool { name.hasPrefix("amq.") }

  init(
    _ name: Text, _ kind: ExchangeKind, isDurable: Bool, isAutoDelete: Bool = false, isInternal: Bool = false,
    _ arguments: [JSONTree.Member] = []
  ) {
    self.name = name
    self.kind = kind
    self.isDurable = isDurable
    self.isAutoDelete = isAutoDelete
    self.isInternal = isInternal
    self.arguments = arguments
  }

  func binding(_ queue: Queue, _ key: Text, _ arguments: [JSONTree.Member]) -> Binding? {
    bindings.first { $0.queue === queue && $0.key == key && JSONTree.areEquivalent($0.arguments, arguments) }
  }

  func add(_ binding: Binding) {
    bindings.append(binding)
    switch kind {
    case .direct: byKey[binding.key, default: []].append(binding)
    case .topic: trie.insert(binding, pattern: binding.key)
    case .fanout, .headers: break
    }
  }

  func remove(_ binding: Binding) {
    bindings.removeAll { $0 === binding }
    switch kind {
    case .direct:
      byKey[binding.key]?.removeAll { $0 === binding }
      if byKey[binding.key]?.isEmpty == true { byKey[binding.key] = nil }
    case .topic: trie.remove(binding, pattern: binding.key)
    case .fanout, .headers: break
    }
  }

  /// Calls `body` with the queue of every binding that matches; a queue may come more than once.
  func route(_ key: Text, _ headers: () -> [JSONTree.Member], _ body: (Queue) -> Void) {
    switch kind {
    case .direct: for binding in byKey[key] ?? [] { body(binding.queue) }
    case .fanout: for binding in bindings { body(binding.queue) }
    case .topic: trie.match(key) { body($0.queue) }
    case .headers:
      let headers = headers()
      for binding in bindings where binding.match?.matches(headers) == true { body(binding.queue) }
    }
  }
}

extension JSONTree {
  /// Whether two tables say the same, in whatever order.
  static func areEquivalent(_ left: [Member], _ right: [Member]) -> Bool {
    left.count == right.count && left.allSatisfy { right.contains($0) }
  }
}
