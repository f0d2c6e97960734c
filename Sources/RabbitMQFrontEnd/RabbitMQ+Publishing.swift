// Publishing, and its continuation: dead letters.

import AMQPProtocol
import Broker
import LineProtocol
import Primitives

/// The properties of a message as they came.
public enum PublishedProperties {
  case none
  /// A JSON object, checked.
  case json(ObjectCursor)
  /// AMQP's.
  case amqp(BasicProperties)
}

/// A message to be published. Buffers are the caller's and only looked at during the call.
public struct Publication {
  /// The name of the exchange.
  public var exchange: Text
  /// The routing key.
  public var routingKey: Text
  /// The body.
  public var body: UnsafeRawBufferPointer
  /// Whether the body came as a JSON string or as bytes.
  public var encoding: BodyEncoding
  /// The properties.
  public var properties = PublishedProperties.none
  /// Its priority; one among AMQP's properties counts by itself.
  public var priority: UInt8 = 0
  /// Whether it is to survive a restart.
  public var isPersistent = false
  /// Whether it comes back when there is no queue for it.
  public var isMandatory = false
  /// `expiration` as it was given.
  public var expiration: Text?
  /// `replyTo` as it was given.
  public var replyTo: Text?
  /// What is shown in its place; nil for the same.
  var shownReplyTo: Text?

  /// Puts a message together.
  public init(exchange: Text, routingKey: Text, body: UnsafeRawBufferPointer, encoding: BodyEncoding) {
    self.exchange = exchange
    self.routingKey = routingKey
    self.body = body
    self.encoding = encoding
  }
}

extension Publication {
  /// What its record's flags say.
  var flags: UInt32 {
    var priority = priority
    if case .amqp(let properties) = properties { priority = properties.priority ?? 0 }
    return (isPersistent ? 0 : RecordFlags.transient) | encoding.flags | RecordFlags.priority(priority)
  }

  /// The keys that the message is routed by: its own, and those in the headers `CC` and `BCC`.
  public var routingKeys: [Text] {
    var envelope = envelope
    envelope.hideBlindKeys()
    return envelope.routingKeys
  }

  var envelope: Envelope {
    var envelope =
      switch properties {
      case .none: Envelope(exchange: exchange, routingKey: routingKey, json: nil)
      case .json(let object): Envelope(exchange: exchange, routingKey: routingKey, json: object)
      case .amqp(let properties): Envelope(exchange: exchange, routingKey: routingKey, amqp: properties)
      }
    if let shownReplyTo { envelope.set(property: "replyTo", .string(shownReplyTo)) }
    return envelope
  }
}

/// A message with which nothing is wrong, without its body.
struct CheckedMessage {
  let envelope: Envelope
  let timeToLiveMs: Int64?
  /// Of its record.
  let flags: UInt32
  let isPersistent: Bool
  let isMandatory: Bool
}

/// What became of a publication.
public struct PublicationOutcome {
  /// Whether any queue was found.
  public var isRouted = false
  /// A queue that was full and refused it.
  public var refusedBy: Text?
  /// What the confirm waits for: the message's record when it is persistent and went into a durable queue.
  public var gate = Gate.open
  /// What comes back to the publisher: set when it is mandatory and there is no queue for it.
  public var returned: Envelope?
  /// Why it comes back, with reply code 312: `NO_ROUTE`, or `NO_PENDING` for a cancel of what is not pending.
  public var returnedText: StaticString = "NO_ROUTE"
}

extension RabbitMQ {
  /// Reads `expiration`: a string that holds an integer from 0 to ten years in milliseconds.
  static func timeToLiveMs(expiration: Text) throws(AMQPError) -> Int64 {
    func invalid(_ why: String) -> AMQPError { .preconditionFailed("invalid expiration '\(expiration)': \(why)") }
    var digits = expiration.bytes[...]
    let isNegative = digits.first == UInt8(ascii: "-")
    if isNegative || digits.first == UInt8(ascii: "+") { digits = digits.dropFirst() }
    let end = digits.firstIndex { !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ?? digits.endIndex
    guard end > digits.startIndex else { throw invalid("no integer") }
    guard end == digits.endIndex else {
      throw invalid("left-over characters '\(String(decoding: digits[end...], as: UTF8.self))'")
    }
    let value = Int64(String(decoding: digits, as: UTF8.self))
    if isNegative, value != 0 { throw invalid("negative") }
    guard let value, value <= QueueArguments.timeToLiveMsMax else { throw invalid("too large") }
    return value
  }

  /// Publishes a message: into every queue that its exchange finds, in one record.
  public func publish(_ publication: Publication) throws(AMQPError) -> PublicationOutcome {
    try send(check(publication), publication.body)
  }

  /// Says what is wrong with a message, if anything is.
  func check(_ publication: Publication) throws(AMQPError) -> CheckedMessage {
    let exchange = try exchange(publication.exchange)
    if exchange.isInternal {
      throw .accessRefused("cannot publish to internal exchange '\(exchange.name)'", isInVirtualHost: true)
    }
    var timeToLiveMs: Int64?
    if let expiration = publication.expiration {
      timeToLiveMs = try Self.timeToLiveMs(expiration: expiration)
    }
    var envelope = publication.envelope
    for header in ["CC", "BCC"] as [Text] {
      guard let value = envelope.value(header: header) else { continue }
      if case .array = value { continue }
      throw .preconditionFailed("invalid message: header '\(header)' is a \(value.typeName), not an array")
    }
    envelope.hideBlindKeys()
    guard envelope.tag != nil else { throw .preconditionFailed("invalid message: header 'BCC' is too long") }
    return CheckedMessage(
      envelope: envelope, timeToLiveMs: timeToLiveMs, flags: publication.flags,
      isPersistent: publication.isPersistent, isMandatory: publication.isMandatory)
  }

  /// Sends a message that is all right to where its exchange says; one whose exchange is gone by now goes nowhere.
  func send(_ message: CheckedMessage, _ body: UnsafeRawBufferPointer) throws(AMQPError) -> PublicationOutcome {
    let envelope = message.envelope
    guard let exchange = exchanges[envelope.exchange] else {
      return PublicationOutcome(returned: message.isMandatory ? envelope : nil)
    }
    if exchange.relay != nil, let outcome = try cancelPending(message, exchange) { return outcome }
    let routes = route(exchange, envelope.routingKeys, isDelayed: { Self.delayMs(of: envelope) > 0 }) {
      envelope.headerTable
    }
    var outcome = PublicationOutcome(isRouted: !routes.isEmpty)
    if routes.isEmpty || message.isMandatory && isUnroutableNow(routes, exchange, envelope) {
      outcome.isRouted = false
      if message.isMandatory { outcome.returned = envelope }
      return outcome
    }
    let delayed = try delayedTargets(routes, envelope)
    var targets: [QueueTarget] = []
    var refusing: [Queue] = []
    var isKept = false
    for queue in routes.queues {
      // Consumers that are ready make room first.
      if isRefusing(queue, body) { broker.serve(queue.group) }
      if isRefusing(queue, body) {
        outcome.refusedBy = queue.name
        refusing.append(queue)
        continue
      }
      if message.isPersistent, queue.isDurable { isKept = true }
      targets.append(target(queue, message.timeToLiveMs))
    }
    for exchange in routes.delaying where exchange.isDurable { isKept = true }
    targets += delayed.targets
    if !routes.topics.isEmpty { isKept = true }
    try put(envelope, body, message.flags, targets, routes.topics, refusedBy: refusing, name: delayed.name)
    broker.enforceQueueRules()
    if isKept { outcome.gate = broker.gate }
    return outcome
  }

  /// The smaller of what the message and the queue say.
  func target(_ queue: Queue, _ timeToLiveMs: Int64?) -> QueueTarget {
    let own = queue.arguments.messageTTLMs
    return QueueTarget(queue.group, timeToLiveMs: timeToLiveMs.map { min($0, own ?? .max) } ?? own)
  }

  /// Whether a queue does not take this message, besides those of the same body that it is to get: it would be longer than it
  /// may be.
  private func isRefusing(_ queue: Queue, _ body: UnsafeRawBufferPointer, besides letters: [Letter] = []) -> Bool {
    if queue.arguments.overflow == .dropHead { return false }
    let count = letters.reduce(1) { $0 + ($1.targets.contains { $0.topic === queue.group.topic } ? 1 : 0) }
    return !queue.group.hasRoom(bodyBytes: body.count, times: count)
  }

  /// Puts a message into the queues that take it and, where those that refuse it have a dead-letter exchange for that, into
  /// what is found by it: all in one record.
  private func put(
    _ envelope: Envelope, _ body: UnsafeRawBufferPointer, _ flags: UInt32, _ targets: [QueueTarget],
    _ topics: [QueueTarget], refusedBy queues: [Queue], name: Text?
  ) throws(AMQPError) {
    var out = ByteBuffer(capacity: 256)
    envelope.write(to: &out)
    let headersLength = out.readable.count
    // Empty but for messages with BCC.
    (envelope.tag ?? []).withUnsafeBytes { out.append($0) }
    let tagEnd = out.readable.count
    // Empty but for messages that are pending under a name.
    if let name { name.bytes.withUnsafeBytes { out.append($0) } }
    var parts = MessageParts(id: UnsafeRawBufferPointer(rebasing: out.readable[tagEnd...]), body: body)
    parts.headers = UnsafeRawBufferPointer(rebasing: out.readable[..<headersLength])
    parts.tag = UnsafeRawBufferPointer(rebasing: out.readable[headersLength..<tagEnd])
    parts.flags = flags
    let deaths = queues.filter { $0.arguments.overflow == .rejectPublishDLX }
    if targets.isEmpty, topics.isEmpty, deaths.isEmpty { return }
    do throws(BrokerStop) { try broker.requireRoom(for: parts) } catch { throw .stopped(error) }
    if topics.isEmpty, deaths.isEmpty { return broker.enqueue(parts, to: targets) }
    var letters = [Letter(headers: Array(parts.headers), tag: Array(parts.tag), targets: targets)]
    if !topics.isEmpty { letters.append(Self.topicLetter(envelope, topics)) }
    for queue in deaths { addLetters(of: envelope, body, endedIn: queue, because: "maxlen", to: &letters) }
    broker.enqueue(letters, of: parts)
  }

  /// How many letters one death can become where full queues refuse them to one another. More are dropped: an exchange that
  /// such queues share would make as many letters as there are orders of the queues.
  static let lettersMax = 256

  /// Adds the letters that a message becomes when it dies in a queue: they go to where the queue's dead-letter exchange says. A
  /// target that is full may have a dead-letter exchange for what it refuses: then the letter dies there at once, and goes on
  /// from there.
  private func addLetters(
    of message: Envelope, _ body: UnsafeRawBufferPointer, endedIn queue: Queue, because reason: Text,
    to letters: inout [Letter]
  ) {
    var letter = message
    let routes = die(&letter, queue, reason)
    addLetters(letter, body, routes, timeToLiveMs: nil, to: &letters)
  }

  /// Adds the letter that goes by these routes, and those that it becomes where it is refused.
  func addLetters(
    _ letter: Envelope, _ body: UnsafeRawBufferPointer, _ routes: Routes, timeToLiveMs: Int64?,
    to letters: inout [Letter]
  ) {
    var routed = [(letter: letter, routes: routes)]
    var next = 0
    while next < routed.count {
      let (letter, routes) = routed[next]
      let ownMs = next == 0 ? timeToLiveMs : nil
      next += 1
      var targets: [QueueTarget] = []
      for queue in routes.queues {
        if !isRefusing(queue, body, besides: letters) {
          targets.append(target(queue, ownMs))
        } else if queue.arguments.overflow == .rejectPublishDLX, routed.count < Self.lettersMax {
          var dead = letter
          let routes = die(&dead, queue, "maxlen")
          routed.append((dead, routes))
        }
      }
      targets += relayTargets(routes, Self.delayMs(of: letter))
      if !routes.topics.isEmpty { letters.append(Self.topicLetter(letter, routes.topics)) }
      if targets.isEmpty { continue }
      var out = ByteBuffer(capacity: 256)
      letter.write(to: &out)
      letters.append(Letter(headers: Array(out.readable), tag: letter.tag ?? [], targets: targets))
    }
  }

  /// Writes a death into a message and gives where it goes from there: nowhere when the exchange is not there.
  private func die(_ envelope: inout Envelope, _ queue: Queue, _ reason: Text) -> Routes {
    guard let name = queue.arguments.deadLetterExchange, let exchange = exchanges[name] else { return Routes() }
    Death(queue: queue.name, reason: reason, timeS: broker.nowMs / 1000).note(in: &envelope)
    envelope.exchange = name
    if let key = queue.arguments.deadLetterRoutingKey {
      envelope.routingKey = key
      envelope.remove(header: "CC")
      envelope.blindKeys = []
    }
    let dead = envelope
    var routes = route(exchange, dead.routingKeys, isDelayed: { Self.delayMs(of: dead) > 0 }) { dead.headerTable }
    if reason != "rejected" { routes.queues.removeAll { Death.isCycle(dead, to: $0.name) } }
    return routes
  }
}

extension RabbitMQ: DeadLetterRouter {
  /// The letters to where the queue's dead-letter exchange says.
  public func letters(of record: MessageRecord, endedIn group: Group, because reason: EndReason) -> [Letter] {
    guard let envelope = Envelope(record, reader) else { return [] }
    if let exchange = exchangeByRelay[group.number] { return letters(of: envelope, record.body, releasedBy: exchange) }
    guard let queue = queueByGroup[group.number] else { return [] }
    var letters: [Letter] = []
    addLetters(of: envelope, record.body, endedIn: queue, because: Self.word(reason), to: &letters)
    return letters
  }

  private static func word(_ reason: EndReason) -> Text {
    switch reason {
    case .deliveryLimit: "delivery_limit"
    case .rejected: "rejected"
    case .expired: "expired"
    case .tooLong: "maxlen"
    case .released: preconditionFailure("a message that is released has not died")
    }
  }
}
