// Bindings, and lists of them that many can leave cheaply: a queue may have a hundred thousand, and go with all of them.

/// Where a binding leads.
enum BindingDestination {
  case queue(Queue)
  case exchange(Exchange)
  case topic(BoundTopic)

  /// Its object, which tells it from another one of the same name.
  var identity: ObjectIdentifier {
    switch self {
    case .queue(let queue): ObjectIdentifier(queue)
    case .exchange(let exchange): ObjectIdentifier(exchange)
    case .topic(let topic): ObjectIdentifier(topic)
    }
  }

  /// Whether it outlives the server.
  var isKept: Bool {
    switch self {
    case .queue(let queue): queue.isKept
    case .exchange(let exchange): exchange.isDurable
    case .topic: true
    }
  }

  func add(_ binding: Binding) {
    switch self {
    case .queue(let queue): queue.bindings.append(binding)
    case .exchange(let exchange): exchange.incoming.append(binding)
    case .topic: return
    }
  }

  /// A binding that leads here is gone.
  func noteGone() {
    switch self {
    case .queue(let queue): queue.bindings.noteGone()
    case .exchange(let exchange): exchange.incoming.noteGone()
    case .topic: return
    }
  }
}

/// A way from an exchange to a queue or to another exchange.
final class Binding: Equatable {
  let exchange: Exchange
  let destination: BindingDestination
  let key: Text
  let arguments: [JSONTree.Member]
  let match: HeaderMatch?
  /// Its name in the catalog; nil when it does not outlive the server.
  var catalogName: [UInt8]?
  /// Whether it was taken away; lists forget it later.
  var isGone = false

  init(
    _ exchange: Exchange, _ destination: BindingDestination, _ key: Text, _ arguments: [JSONTree.Member],
    _ match: HeaderMatch?
  ) {
    self.exchange = exchange
    self.destination = destination
    self.key = key
    self.arguments = arguments
    self.match = match
  }

  /// What makes it another one than its neighbours in the same exchange.
  struct Identity: Hashable {
    let destination: ObjectIdentifier
    let key: Text
    /// The arguments as JSON, ordered by their names.
    let arguments: Text

    init(_ destination: BindingDestination, _ key: Text, _ arguments: [JSONTree.Member]) {
      self.destination = destination.identity
      self.key = key
      let ordered = arguments.sorted { $0.key.bytes.lexicographicallyPrecedes($1.key.bytes) }
      self.arguments = ordered.isEmpty ? "" : Text(JSONTree.object(ordered).shown)
    }
  }

  var identity: Identity { Identity(destination, key, arguments) }

  static func == (left: Binding, right: Binding) -> Bool { left === right }
}

/// Bindings in the order in which they were made.
///
/// Holds: at most half of the elements are gone ones, so leaving costs O(1), amortised.
struct BindingList: Sequence {
  private var elements: [Binding] = []
  private var goneCount = 0

  var isEmpty: Bool { elements.count == goneCount }

  mutating func append(_ binding: Binding) { elements.append(binding) }

  /// One of the elements is gone since the last call.
  mutating func noteGone() {
    goneCount += 1
    guard goneCount * 2 > elements.count else { return }
    elements.removeAll(where: \.isGone)
    goneCount = 0
  }

  struct Iterator: IteratorProtocol {
    var rest: IndexingIterator<[Binding]>

    mutating func next() -> Binding? {
      while let binding = rest.next() {
        if !binding.isGone { return binding }
      }
      return nil
    }
  }

  func makeIterator() -> Iterator { Iterator(rest: elements.makeIterator()) }
}
