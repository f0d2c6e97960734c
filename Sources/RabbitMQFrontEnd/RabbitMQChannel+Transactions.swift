// Transactions: what a channel publishes and acknowledges waits until it is committed, and is forgotten when it is rolled back.
//
// Holds: what can be wrong with a message or an acknowledgement is said when it comes, not at the commit; a commit is done in
// one turn, and its answer waits for the turn's end.
// Leaves to others: how much may be held (the session).

import Broker
import Primitives

/// Publications and acknowledgements that wait for the commit.
struct Transaction {
  fileprivate var messages: [(message: CheckedMessage, body: [UInt8])] = []
  fileprivate var ends: [(tag: UInt64, delivery: Unacknowledged, verdict: Verdict)] = []
  fileprivate(set) var bytes = 0

  mutating func hold(_ tag: UInt64, _ delivery: Unacknowledged, _ verdict: Verdict) {
    ends.append((tag, delivery, verdict))
  }

  mutating func hold(_ message: CheckedMessage, _ body: UnsafeRawBufferPointer) {
    messages.append((message, Array(body)))
    bytes += body.count
  }
}

/// What came of a commit.
public struct CommitOutcome {
  /// What the answer waits for.
  public var gate = Gate.open
  /// Mandatory messages that found no queue, with their bodies.
  public var returned: [(outcome: PublicationOutcome, body: [UInt8], encoding: BodyEncoding)] = []
}

extension RabbitMQChannel {
  /// Whether publishes and acknowledgements wait for a commit.
  public var isTransactional: Bool { transaction != nil }

  /// Bytes of the bodies that wait for the commit.
  public var heldBytes: Int { transaction?.bytes ?? 0 }

  /// Makes the channel transactional.
  public func selectTransactions() { if transaction == nil { transaction = Transaction() } }

  /// Does everything that has waited since the last commit.
  ///
  /// - Throws: 406 when the channel is not transactional, or when a full queue has refused a message; `diskFull` when nothing
  ///   was done because there is no room.
  public func commit() throws(AMQPError) -> CommitOutcome {
    guard let transaction else { throw .preconditionFailed("channel is not transactional") }
    try requireWorking()
    if !transaction.messages.isEmpty {
      do throws(BrokerStop) { try broker.requireSpace() } catch { throw .stopped(error) }
    }
    self.transaction = Transaction()
    var commit = CommitOutcome()
    var refusedBy: Text?
    for (message, body) in transaction.messages {
      let outcome = try body.withBytes { (body) throws(AMQPError) in try rabbitMQ.send(message, body) }
      commit.gate = max(commit.gate, outcome.gate)
      refusedBy = refusedBy ?? outcome.refusedBy
      if outcome.returned != nil { commit.returned.append((outcome, body, BodyEncoding(flags: message.flags))) }
    }
    for (_, delivery, verdict) in transaction.ends {
      try carryOut(verdict, [delivery])
      if delivery.isPersistent, !verdict.goesBack { commit.gate = .endOfTurn }
    }
    removeEndedConsumers()
    guard refusedBy == nil else { throw .preconditionFailed("partial tx completion") }
    return commit
  }

  /// Forgets what waits: messages are not published, deliveries are unacknowledged as before.
  ///
  /// - Throws: 406 when the channel is not transactional.
  public func rollBack() throws(AMQPError) {
    guard let transaction else { throw .preconditionFailed("channel is not transactional") }
    self.transaction = Transaction()
    for (tag, delivery, _) in transaction.ends { unacknowledged.restore(tag, delivery) }
  }
}
