// Exchanges that delay: `x-delayed-message`. A message with a positive header `x-delay` is pending in the exchange's relay, and is
// routed when it is released, by the bindings of that time.
//
// Holds: an exchange of the kind has a relay from its declaration to its end; the relay of an exchange that does not outlive the
// server goes at the next start with all that is pending there.
// Leaves to others: how a message waits and is released (Broker: Queues+Relays), which bindings it matches (RabbitMQ+Routing).

import Broker
import LineProtocol
import Primitives

extension Exchange {
  /// How many messages are pending in it.
  var pendingCount: Int { relay?.topic.pendingCount ?? 0 }
}

extension RabbitMQ {
  /// The longest name of a pending message.
  static let delayNameBytesMax = 128

  // MARK: Relays

  func makeRelay(_ exchange: Exchange) throws(AMQPError) {
    do throws(BrokerStop) {
      adopt(try broker.makeRelay(virtualHost.relayPrefix + exchange.name.description), exchange)
    } catch { throw .stopped(error) }
  }

  private func adopt(_ relay: Group, _ exchange: Exchange) {
    exchange.relay = relay
    exchangeByRelay[relay.number] = exchange
  }

  /// An exchange is gone: what is pending in it is dropped.
  func dropRelay(_ exchange: Exchange) {
    guard let relay = exchange.relay else { return }
    let count = exchange.pendingCount
    if count > 0 { noteDropped?("dropped \(count) messages that were pending in exchange '\(exchange.name)'") }
    exchangeByRelay[relay.number] = nil
    exchange.relay = nil
    // What fails is the store, and then nothing counts any more.
    try? broker.deleteQueue(relay)
  }

  /// At a start: finds the relay of an exchange again. A salvage may have left out the record that made it.
  func restoreRelay(_ exchange: Exchange) {
    guard exchange.kind == .delayed else { return }
    if let relay = broker.findQueue(virtualHost.relayPrefix + exchange.name.description) {
      return adopt(relay, exchange)
    }
    try? makeRelay(exchange)
  }

  /// At a start: drops the relays of exchanges that did not outlive the server.
  func dropLostRelays() {
    let prefix = Array(virtualHost.relayPrefix.utf8)
    for group in broker.allQueues where group.topic.nameBytes.starts(with: prefix) {
      if exchangeByRelay[group.number] == nil { try? broker.deleteQueue(group) }
    }
  }

  // MARK: Headers

  /// How long a message waits in an exchange that delays: its header `x-delay` in milliseconds, whatever kind of number it is;
  /// 0 when it is not to wait.
  static func delayMs(of envelope: Envelope) -> Int64 {
    let delayMs: Int64
    switch envelope.value(header: "x-delay") {
    case .integer(let value)?: delayMs = value
    case .number(let text)?: delayMs = number(text) ?? 0
    case .string(let text)?: delayMs = Int64(text.description) ?? number(text.bytes) ?? 0
    default: delayMs = 0
    }
    return max(0, delayMs)
  }

  private static func number(_ text: [UInt8]) -> Int64? {
    guard let value = Double(String(decoding: text, as: UTF8.self)), value.isFinite else { return nil }
    return value >= 0x1p63 ? .max : Int64(max(value, 0))
  }

  /// The name under which a message is pending; nil when it has none.
  private static func delayName(of envelope: Envelope) throws(AMQPError) -> Text? {
    guard let value = envelope.value(header: "x-delay-id") else { return nil }
    guard let name = value.text, !name.isEmpty, name.bytes.count <= delayNameBytesMax else {
      throw .preconditionFailed(
        "invalid message: header 'x-delay-id' must be a string of 1 to \(delayNameBytesMax) bytes")
    }
    return name
  }

  // MARK: Publishing

  /// Cancels what is pending under a name, if that is what the message asks for; nil when it does not.
  func cancelPending(_ message: CheckedMessage, _ exchange: Exchange) throws(AMQPError) -> PublicationOutcome? {
    let envelope = message.envelope
    guard envelope.value(header: "x-delay-cancel") == .boolean(true), let relay = exchange.relay else { return nil }
    guard let name = try Self.delayName(of: envelope) else {
      throw .preconditionFailed("invalid message: header 'x-delay-cancel' without 'x-delay-id'")
    }
    let answer: Answer<Bool>
    do throws(BrokerStop) {
      answer = try name.bytes.withBytes { id throws(BrokerStop) in try broker.cancel(id, in: relay) }
    } catch { throw .stopped(error) }
    var outcome = PublicationOutcome(isRouted: answer.value)
    if answer.value {
      outcome.gate = answer.gate
    } else if message.isMandatory {
      outcome.returned = envelope
      outcome.returnedText = "NO_PENDING"
    }
    return outcome
  }

  /// Whether a message that is only to be delayed would go nowhere if it were routed now: `mandatory` asks now, since nothing is
  /// said later.
  func isUnroutableNow(_ routes: Routes, _ exchange: Exchange, _ envelope: Envelope) -> Bool {
    guard routes.queues.isEmpty, routes.topics.isEmpty else { return false }
    return route(exchange, envelope.routingKeys, isDelayed: { false }) { envelope.headerTable }.isEmpty
  }

  /// The relays that a message is put into, and the name under which it is pending there.
  ///
  /// - Throws: 406 when its name is none, or it is to wait for longer than anything may.
  func delayedTargets(
    _ routes: Routes, _ envelope: Envelope
  ) throws(AMQPError) -> (targets: [QueueTarget], name: Text?) {
    if routes.delaying.isEmpty { return ([], nil) }
    let delayMs = Self.delayMs(of: envelope)
    guard delayMs <= broker.settings.maxDelayMs else {
      throw .preconditionFailed(
        "invalid message: header 'x-delay' is \(delayMs), and at most \(broker.settings.maxDelayMs) ms are allowed")
    }
    return (relayTargets(routes, delayMs), try Self.delayName(of: envelope))
  }

  /// The relays that a letter is put into, which nobody can be told is to wait for too long.
  func relayTargets(_ routes: Routes, _ delayMs: Int64) -> [QueueTarget] {
    routes.delaying.compactMap(\.relay).map {
      QueueTarget($0, timeToLiveMs: min(delayMs, broker.settings.maxDelayMs))
    }
  }

  // MARK: Releasing

  /// The letters that a message becomes when its time has come: the sign of `x-delay` is turned, so that a row of exchanges
  /// that delay does so once; its own time to live begins in the queues.
  func letters(of pending: Envelope, _ body: UnsafeRawBufferPointer, releasedBy exchange: Exchange) -> [Letter] {
    var envelope = pending
    envelope.set(header: "x-delay", .integer(-Self.delayMs(of: pending)))
    let released = envelope
    let routes = route(exchange, released.routingKeys, isDelayed: { false }) { released.headerTable }
    let expiration = released.properties.first { $0.key == "expiration" }?.value.text
    var letters: [Letter] = []
    addLetters(
      released, body, routes, timeToLiveMs: expiration.flatMap { try? Self.timeToLiveMs(expiration: $0) }, to: &letters)
    return letters
  }

  // MARK: Listing

  private var listed: some Swift.Sequence<ListedExchange> {
    exchanges.values.lazy.filter { !$0.name.isEmpty }
      .map { ListedExchange(name: $0.name, kind: $0.kind, isDurable: $0.isDurable, pendingCount: $0.pendingCount) }
  }

  /// All exchanges but the default one, by name. O(exchanges × log exchanges).
  public var exchangesInOrder: [ListedExchange] {
    listed.sorted { $0.name.bytes.lexicographicallyPrecedes($1.name.bytes) }
  }

  /// The first `limit` of them of those that `isShown`. O(exchanges) for a small limit.
  public func firstExchanges(_ limit: Int, where isShown: (ListedExchange) -> Bool) -> [ListedExchange] {
    listed.filter(isShown).smallest(limit) { $0.name.bytes.lexicographicallyPrecedes($1.name.bytes) }
  }

  /// The name of the topic in which the messages of an exchange are pending, for listing and cancelling them there.
  ///
  /// - Throws: 404; 406 when the exchange does not delay.
  public func relayTopic(of name: Text) throws(AMQPError) -> [UInt8] {
    guard let relay = try exchange(name).relay else {
      throw .preconditionFailed("exchange '\(name)' is not of type 'x-delayed-message'")
    }
    return relay.topic.nameBytes
  }
}

/// What a listing says of an exchange.
public struct ListedExchange {
  /// Its name.
  public let name: Text
  /// What it was declared to be.
  public let kind: ExchangeKind
  /// Whether it survives a restart.
  public let isDurable: Bool
  /// Messages pending in it.
  public let pendingCount: Int
}
