// Direct reply-to: a client consumes `amq.rabbitmq.reply-to`, and names it as `reply_to` in its requests; whoever answers sends to
// the name that the request shows instead, with the default exchange.
//
// Holds: behind a name that is shown stands a queue of the client's connection alone, neither durable nor listed, that goes with
// its consumer. The name cannot be guessed: it is a mark that only this data folder can make.
// Leaves to others: routing and delivering, which replies have in common with all messages.

import Broker
import Primitives

/// The names that direct replies go by.
public enum DirectReply {
  /// What a client consumes, and names in its requests.
  static let name: Text = "amq.rabbitmq.reply-to"
  static let tokenPrefix: StaticString = "amq.rabbitmq.reply-to."

  /// Whether a name is one of direct replies. Nobody has rights on these: who knows one may use it.
  public static func isName(_ text: Text) -> Bool { text == name || text.hasPrefix(tokenPrefix) }

  static func isName(_ bytes: UnsafeRawBufferPointer) -> Bool { bytes.elementsEqual(name.bytes) }
}

extension RabbitMQChannel {
  /// Makes the queue that the replies of this channel come into.
  func openReplies(noAck: Bool) throws(AMQPError) -> Queue {
    guard noAck else { throw .preconditionFailed("reply consumer cannot acknowledge") }
    guard replyToken == nil else { throw .preconditionFailed("reply consumer already set") }
    let queue = try rabbitMQ.makeReplyQueue(connection)
    replyQueue = queue
    return queue
  }

  /// The name that this channel's requests show; nil when it does not consume replies.
  private var replyToken: Text? { replyQueue.flatMap { rabbitMQ.isThere($0) ? $0.name : nil } }

  /// Lets a request of this channel show where its reply is to go.
  ///
  /// - Throws: 406 when the channel does not consume replies.
  func nameReplies(of publication: inout Publication) throws(AMQPError) {
    guard publication.replyTo == DirectReply.name else { return }
    guard let token = replyToken else { throw .preconditionFailed("fast reply consumer does not exist") }
    publication.shownReplyTo = token
  }

  /// Whether somebody consumes by a name of direct replies. To declare one is to ask that.
  ///
  /// - Throws: 404.
  func checkReplies(_ name: Text) throws(AMQPError) -> Answer<DeclaredQueue> {
    guard name == DirectReply.name || rabbitMQ.queues[name] != nil else {
      throw .notFound("no queue '\(name)'", isInVirtualHost: true)
    }
    return Answer(DeclaredQueue(name: name, messageCount: 0, consumerCount: 1), gate: broker.gate)
  }
}

extension RabbitMQ {
  func isThere(_ queue: Queue) -> Bool { queues[queue.name] === queue }

  fileprivate func makeReplyQueue(_ connection: UInt64) throws(AMQPError) -> Queue {
    let mark = "rabbitmq/reply/\(connection)/\(broker.records.nextSequence)".withBytes { broker.mark(of: $0) }
    let name = Text("\(DirectReply.tokenPrefix)\(String(mark.high, radix: 36))-\(String(mark.low, radix: 36))")
    return try makeQueue(
      QueueDeclaration(name: name, isDurable: false, isExclusive: true, isAutoDelete: true, arguments: []),
      QueueArguments([], queue: name), owner: connection)
  }
}
