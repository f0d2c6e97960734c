// Exchanges: which of their bindings a message matches.

import Broker

/// What an exchange is declared to be.
public enum ExchangeKind: String, Sendable, CaseIterable {
  case direct, fanout, topic, headers
  /// Keeps a message for as long as its header says, and then routes it as the kind in `x-delayed-type` does.
  case delayed = "x-delayed-message"
}

/// An exchange.
final class Exchange {
  let name: Text
  let kind: ExchangeKind
  /// What it routes by: its kind, or that in `x-delayed-type`.
  let routing: ExchangeKind
  let isDurable: Bool
  let isAutoDelete: Bool
  let isInternal: Bool
  let arguments: [JSONTree.Member]
  /// The bindings that lead from here.
  private(set) var bindings = BindingList()
  /// The bindings of other exchanges that lead here.
  var incoming = BindingList()
  private var byIdentity: [Binding.Identity: Binding] = [:]
  private var byKey: [Text: BindingList] = [:]
  private var trie = TopicTrie<Binding>()
  /// The routing that visited it last.
  var visited: UInt64 = 0
  /// Where its messages are pending, if it delays them.
  var relay: Group?

  var alternate: Text? { arguments.first { $0.key == "alternate-exchange" }?.value.text }
  var isPredeclared: Bool { name.hasPrefix("amq.") }

  init(
    _ name: Text, _ kind: ExchangeKind, isDurable: Bool, isAutoDelete: Bool = false, isInternal: Bool = false,
    _ arguments: [JSONTree.Member] = []
  ) {
    self.name = name
    self.kind = kind
    routing = kind == .delayed ? Self.delayedKind(arguments) ?? .direct : kind
    self.isDurable = isDurable
    self.isAutoDelete = isAutoDelete
    self.isInternal = isInternal
    self.arguments = arguments
  }

  /// The kind that the argument `x-delayed-type` names; nil when it is missing, or names none that routes.
  static func delayedKind(_ arguments: [JSONTree.Member]) -> ExchangeKind? {
    let name = arguments.first { $0.key == "x-delayed-type" }?.value.text
    guard let kind = name.flatMap({ ExchangeKind(rawValue: $0.description) }), kind != .delayed else { return nil }
    return kind
  }

  func binding(_ destination: BindingDestination, _ key: Text, _ arguments: [JSONTree.Member]) -> Binding? {
    byIdentity[Binding.Identity(destination, key, arguments)]
  }

  func add(_ binding: Binding) {
    bindings.append(binding)
    byIdentity[binding.identity] = binding
    switch routing {
    case .direct: byKey[binding.key, default: BindingList()].append(binding)
    case .topic: trie.insert(binding, pattern: binding.key)
    case .fanout, .headers, .delayed: break
    }
  }

  /// Forgets a binding that is gone. Amortised O(1); in a topic exchange O(bindings of the same pattern).
  func remove(_ binding: Binding) {
    bindings.noteGone()
    byIdentity[binding.identity] = nil
    switch routing {
    case .direct:
      byKey[binding.key]?.noteGone()
      if byKey[binding.key]?.isEmpty == true { byKey[binding.key] = nil }
    case .topic: trie.remove(binding, pattern: binding.key)
    case .fanout, .headers, .delayed: break
    }
  }

  /// Calls `body` with where every binding leads that matches; a destination may come more than once.
  func route(_ keys: [Text], _ headers: () -> [Text: JSONTree], _ body: (BindingDestination) -> Void) {
    switch routing {
    case .direct:
      for key in keys {
        for binding in byKey[key] ?? BindingList() { body(binding.destination) }
      }
    case .fanout: for binding in bindings { body(binding.destination) }
    case .topic: for key in keys { trie.match(key) { body($0.destination) } }
    case .headers:
      let headers = headers()
      for binding in bindings where binding.match?.matches(headers) == true { body(binding.destination) }
    case .delayed: preconditionFailure("a delayed exchange routes as another kind")
    }
  }
}
