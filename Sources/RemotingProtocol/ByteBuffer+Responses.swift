// Whole frames that say little: answers without a body, and what a broker tells its clients.

import Primitives

extension ByteBuffer {
  /// Appends a response without fields and body.
  public mutating func appendResponse(_ code: ResponseCode, to header: RemotingHeader, remark: String? = nil) {
    appendResponse(code, to: RequestReference(header), remark: remark)
  }

  /// Appends a response without fields and body to a request whose header is gone.
  public mutating func appendResponse(_ code: ResponseCode, to request: RequestReference, remark: String? = nil) {
    var frame = RemotingFrameWriter(response: code, to: request, remark: remark, &self)
    frame.endHeader(&self)
    frame.end(&self)
  }

  /// Appends the answer to a request that could not be read.
  ///
  /// - Precondition: the error does not close the connection.
  public mutating func appendResponse(_ error: RemotingError, to header: RemotingHeader) {
    precondition(!error.closesConnection, "after an error in the framing there is no request to answer")
    appendResponse(.systemError, to: header, remark: error.description)
  }

  /// Tells a consumer that the members of its group have changed, so that it divides the queues anew. One-way.
  public mutating func appendConsumerIDsChanged(group: String, opaque: Int32, serialization: RemotingSerialization) {
    var frame = RemotingFrameWriter(
      request: .notifyConsumerIDsChanged, opaque: opaque, isOneWay: true, serialization: serialization, &self)
    frame.field("consumerGroup", group, &self)
    frame.endHeader(&self)
    frame.end(&self)
  }

  /// Asks a producer how a transaction ended; the answer is an `END_TRANSACTION` of its own. One-way.
  ///
  /// - Parameter message: the half message, with its real topic.
  /// - Throws: `unencodable`; nothing has been appended then.
  public mutating func appendTransactionCheck(
    _ check: TransactionCheck, message: PulledMessage, opaque: Int32, serialization: RemotingSerialization
  ) throws(RemotingError) {
    let start = count
    var frame = RemotingFrameWriter(
      request: .checkTransactionState, opaque: opaque, isOneWay: true, serialization: serialization, &self)
    frame.field("tranStateTableOffset", check.stateTableOffset, &self)
    frame.field("commitLogOffset", check.commitLogOffset, &self)
    frame.field("msgId", check.messageID, &self)
    frame.field("transactionId", check.transactionID, &self)
    frame.field("offsetMsgId", check.offsetMessageID, &self)
    frame.endHeader(&self)
    do throws(RemotingError) {
      try append(message)
    } catch {
      truncate(to: start)
      throw error
    }
    frame.end(&self)
  }
}

/// What names a transaction to its producer; the producer repeats all of it in its answer.
public struct TransactionCheck {
  /// A number that finds the half message again.
  public var stateTableOffset: Int64
  /// A second such number.
  public var commitLogOffset: Int64
  /// The id that the producer gave the message (`UNIQ_KEY`).
  public var messageID: String
  /// The transaction's id; with RocketMQ's producers the same.
  public var transactionID: String
  /// The id of host and offset, see `MessageID`.
  public var offsetMessageID: String

  /// Puts the parts together.
  public init(
    stateTableOffset: Int64, commitLogOffset: Int64, messageID: String, transactionID: String, offsetMessageID: String
  ) {
    self.stateTableOffset = stateTableOffset
    self.commitLogOffset = commitLogOffset
    self.messageID = messageID
    self.transactionID = transactionID
    self.offsetMessageID = offsetMessageID
  }
}
