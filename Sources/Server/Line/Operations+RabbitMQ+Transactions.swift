// rabbitmq.txSelect, txCommit, txRollback: the connection's publishes and acknowledgements wait for a commit.
//
// Leaves to others: what is held back and how it is done (RabbitMQChannel).

import Broker
import LineProtocol
import Primitives
import RabbitMQFrontEnd

extension LineSession {
  func rabbitMQTxSelect(_ request: Request) {
    rabbitMQChannel.selectTransactions()
    beginReply(request)
    out.endLine()
  }

  func rabbitMQTxCommit(_ request: Request) throws(RequestStop) {
    let commit = try amqp { () throws(AMQPError) in try rabbitMQChannel.commit() }
    for returned in commit.returned {
      guard let envelope = returned.outcome.returned else { continue }
      returned.body.withBytes { writeReturn(envelope, returned.outcome.returnedText, $0, returned.encoding) }
    }
    beginReply(request)
    out.endLine()
    hold(until: commit.gate)
  }

  func rabbitMQTxRollback(_ request: Request) throws(RequestStop) {
    try replyEmpty(request) { () throws(AMQPError) in
      try rabbitMQChannel.rollBack()
      return .open
    }
  }

  /// Refuses what would be held back beyond the bound of a connection.
  func requireBounded(_ bodyBytes: Int) throws(RequestStop) {
    guard let channel, channel.isTransactional, channel.heldBytes + bodyBytes > AMQPSession.heldBytesMax else { return }
    let text = "a transaction holds at most \(AMQPSession.heldBytesMax) bytes"
    throw .refused(Refusal(code: .limitExceeded, message: text))
  }
}
