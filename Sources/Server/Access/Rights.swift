// What a client may do, whichever wire it speaks: the questions that the operations of all front ends ask.
//
// Leaves to others: who the client is (Services+Identities), which operation asks what (the wires), how a refusal looks there.

import Access
import Primitives
import RabbitMQFrontEnd

/// A right that a client does not have.
struct MissingRight: Error {
  let right: Right
  /// The kind and the name of the thing; nil when it is about everything.
  let thing: (kind: ResourceKind, name: String)?

  /// `'consume' on the queue 'q'`.
  var text: String {
    guard let thing else { return "'\(right.rawValue):*'" }
    return "'\(right.rawValue)' on the \(thing.kind.rawValue) '\(thing.name)'"
  }
}

/// The rights of one client.
struct Rights {
  private let asksWho: Bool
  private let identity: Identity?

  /// - Parameter identity: who the client is; nil for nobody.
  init(_ services: Services, _ identity: Identity?) {
    asksWho = services.admission.asksWho
    self.identity = identity
  }

  @inline(__always) func allows(_ right: Right, _ kind: ResourceKind, _ name: UnsafeRawBufferPointer) -> Bool {
    !asksWho || identity?.allows(right, kind, name) == true
  }

  func require(_ right: Right, _ kind: ResourceKind, _ name: UnsafeRawBufferPointer) throws(MissingRight) {
    if allows(right, kind, name) { return }
    throw MissingRight(right: right, thing: (kind, String(decoding: name.prefix(128), as: UTF8.self)))
  }

  func require(_ right: Right, _ kind: ResourceKind, _ name: Text) throws(MissingRight) {
    if asksWho { try name.bytes.withBytes { name throws(MissingRight) in try require(right, kind, name) } }
  }

  func requireEverywhere(_ right: Right) throws(MissingRight) {
    guard asksWho, identity?.allowsEverywhere(right) != true else { return }
    throw MissingRight(right: right, thing: nil)
  }

  // MARK: RabbitMQ

  /// The right on a queue. Who knows where a direct reply goes may send there, and nobody else knows.
  ///
  /// - Parameter name: nil when no queue is named and none was declared: then there is nothing to protect.
  func require(_ right: Right, queue name: Text?) throws(MissingRight) {
    guard asksWho, let name, !DirectReply.isName(name) else { return }
    try require(right, .queue, name)
  }

  /// The right on an exchange. The default exchange has no name; where its messages go is asked by whoever puts them there.
  func require(_ right: Right, exchange name: Text) throws(MissingRight) {
    if !name.isEmpty { try require(right, .exchange, name) }
  }

  /// Bindings let messages of an exchange into another one, or into a native topic.
  func requireForBinding(_ destination: Text, isTopic: Bool, source: Text) throws(MissingRight) {
    if isTopic {
      try require(.schedule, .topic, destination)
    } else {
      try require(.admin, exchange: destination)
    }
    try require(.consume, exchange: source)
  }

  /// What publishing takes: the right to schedule on the exchange; on the queues when it is the one without a name.
  func checkTargets(of publication: Publication) throws(MissingRight) {
    guard asksWho else { return }
    if !publication.exchange.isEmpty { return try require(.schedule, .exchange, publication.exchange) }
    for queue in publication.routingKeys { try require(.schedule, queue: queue) }
  }

  /// Whoever names an exchange for dead letters, or for what finds no queue, must be allowed to put messages there itself.
  func checkContinuation(_ arguments: [JSONTree.Member]) throws(MissingRight) {
    guard asksWho else { return }
    func text(_ name: Text) -> Text? {
      guard let member = arguments.first(where: { $0.key == name }), case .string(let text) = member.value else {
        return nil
      }
      return text
    }
    if let alternate = text("alternate-exchange") { try require(.schedule, .exchange, alternate) }
    guard let exchange = text("x-dead-letter-exchange") else { return }
    if !exchange.isEmpty { return try require(.schedule, .exchange, exchange) }
    guard let queue = text("x-dead-letter-routing-key") else { return try requireEverywhere(.schedule) }
    try require(.schedule, queue: queue)
  }
}
