// The RocketMQ front end: its operations as the broker's commands, the broker's deliveries as its events.
//
// Holds: it decides nothing that must be remembered: messages, retries, half messages and their timers are the broker's.
// What it has itself goes with the connections: who produces for which group, which delivery has which message id.
// Leaves to others: reading lines, checking which fields an operation takes, sending (Server).

import Broker
import LineProtocol
import Primitives
import RemotingProtocol

/// Why an operation did not answer.
public enum RocketMQStop: Error {
  case refused(Refusal)
  case broker(BrokerStop)
}

/// One request: its fields, the connection's key and RocketMQ side, and where the reply goes.
public struct RocketMQCall {
  let reader: RequestReader
  let session: RocketMQSession
  let connection: UInt64

  /// Puts one together. The reader has the request parsed.
  public init(_ reader: RequestReader, _ session: RocketMQSession, connection: UInt64) {
    self.reader = reader
    self.session = session
    self.connection = connection
  }

  var rid: UnsafeRawBufferPointer? { (try? reader.rid()) ?? nil }

  func read<R>(_ body: (RequestReader) throws(Refusal) -> R) throws(RocketMQStop) -> R {
    do throws(Refusal) { return try body(reader) } catch { throw .refused(error) }
  }
}

/// The front end of one server.
public final class RocketMQFrontEnd {
  /// Marks the broker's consumers that are this front end's.
  public static let number: UInt8 = 1

  let broker: Broker
  /// What clients of the remoting protocol are told.
  public var wireSettings = WireSettings()
  /// Who consumes in which group by the remoting protocol.
  public let groups = ConsumerGroups()
  let locks = QueueLocks()
  let incoming = IncomingMessage()
  let outgoing = OutgoingMessage()
  /// The queue that the last message without one got.
  var nextQueue = 0
  /// How many queues topics have of which that was said, by number.
  var ownQueues: [UInt32: Int]
  /// Connections that answer for a producer group, in turn.
  private var producers: [String: [UInt64]] = [:]

  /// A front end of a broker.
  public init(_ broker: Broker) {
    self.broker = broker
    ownQueues = Self.ownQueues(broker.catalog)
  }

  func command<R>(_ body: () throws(BrokerStop) -> R) throws(RocketMQStop) -> R {
    do throws(BrokerStop) { return try body() } catch { throw .broker(error) }
  }

  // MARK: Events

  /// Writes the event for a delivery to one of this front end's consumers.
  public func write(_ delivery: Delivery, _ session: RocketMQSession, to out: inout ByteBuffer) {
    let headers = MessageHeaders(delivery.record)
    guard let subscription = session.subscription(showing: delivery, headers) else { return }
    subscription.note(delivery, broker)
    RocketMQEvents.message(delivery, sub: subscription.sub, headers, to: &out)
  }

  /// The connection to be asked about a half message: that of a live producer of its group, each in turn; nil when there is
  /// none, or the message is decided.
  public func producerToAsk(about number: HeldNumber) -> UInt64? {
    guard let message = broker.heldMessage(number), var waiting = producers[message.owner] else { return nil }
    let chosen = waiting.removeFirst()
    waiting.append(chosen)
    producers[message.owner] = waiting
    return chosen
  }

  /// Writes the question.
  public func writeCheck(_ number: HeldNumber, to out: inout ByteBuffer) {
    guard let message = broker.heldMessage(number) else { return }
    RocketMQEvents.check(message, topic: broker.topicName(of: message), to: &out)
  }

  // MARK: Producers

  /// `rocketmq.registerProducer`.
  public func registerProducer(_ call: RocketMQCall, to out: inout ByteBuffer) throws(RocketMQStop) -> Gate {
    let group = String(
      decoding: try call.read { reader throws(Refusal) in
        try RequestFields.requiredGroup(reader, .producerGroup)
      }, as: UTF8.self)
    _ = try call.read { _ throws(Refusal) in try addProducer(of: group, call.session, call.connection) }
    out.beginReply(rid: call.rid)
    out.endLine()
    return .open
  }

  /// A connection answers for a producer group from here on.
  ///
  /// - Throws: `limit_exceeded` when it answers for too many.
  func addProducer(of group: String, _ session: RocketMQSession, _ connection: UInt64) throws(Refusal) {
    guard session.producerGroups.count < 1024 || session.producerGroups.contains(group) else {
      throw Refusal(code: .limitExceeded, message: "a connection can be a producer of 1024 groups")
    }
    if session.producerGroups.insert(group).inserted { producers[group, default: []].append(connection) }
  }

  func removeProducer(of group: String, _ session: RocketMQSession, _ connection: UInt64) {
    guard session.producerGroups.remove(group) != nil else { return }
    producers[group]?.removeAll { $0 == connection }
    if producers[group]?.isEmpty == true { producers[group] = nil }
  }

  /// A connection is gone.
  public func end(_ session: RocketMQSession, connection: UInt64) {
    for group in session.producerGroups { removeProducer(of: group, session, connection) }
    groups.end(connection)
  }
}
