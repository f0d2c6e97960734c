// Closing: channels and connections, because the client wants it, because it did something wrong, or because we stop.

import AMQPProtocol
import Broker
import Primitives
import RabbitMQFrontEnd

extension AMQPSession {
  /// Does what a refusal asks for: closes the channel or the connection.
  func refuse(_ fault: AMQPFault, on channel: AMQPChannel?) {
    services.counters.refusals += 1
    guard let channel, !fault.code.closesConnection else { return close(because: fault) }
    writeConfirms(of: channel)
    letGo(of: channel)
    channel.isClosing = true
    out.append(closeFor: fault, channel: channel.number)
  }

  /// Asks the client to close the connection.
  func close(because fault: AMQPFault) {
    letGo()
    stage = .closing
    output.wakeUpMs = broker.nowMs + AMQPLimits.closeMs
    out.append(closeFor: fault, channel: 0)
  }

  /// Nothing more is read; what is written goes out.
  func finish() {
    stage = .closed
    output.wakeUpMs = broker.nowMs + AMQPLimits.closeMs
    output.closeWhenSent()
  }

  // MARK: Channels

  func openChannel(_ frame: Frame) throws(AMQPFault) {
    guard frame.kind == .method else { throw expectedOpen(nil) }
    let method = try MethodFrame(frame.payload)
    switch method.method {
    case .channelOpen: break
    // Both sides have closed it at once.
    case .channelCloseOk: return
    default: throw expectedOpen(method.method)
    }
    try method.checkNoFields()
    // As in RabbitMQ it is the number of channels that is bounded, whatever their numbers are.
    guard channels.count < channelMax else {
      throw AMQPFault(
        .notAllowed,
        "number of channels opened (\(channels.count)) has reached the negotiated channel_max (\(channelMax))",
        method: .channelOpen)
    }
    let timeoutMs = settings.amqpConsumerTimeoutMs
    let operations = RabbitMQChannel(
      rabbitMQ, connection: key, consumerTimeoutMs: timeoutMs > 0 ? timeoutMs : nil)
    channels.add(AMQPChannel(frame.channel, operations))
    out.append(.channelOpenOk, channel: frame.channel)
  }

  private func expectedOpen(_ method: Method?) -> AMQPFault {
    AMQPFault(.channelError, "expected 'channel.open'", method: method)
  }

  /// The client closes a channel.
  func close(_ channel: AMQPChannel) {
    writeConfirms(of: channel)
    letGo(of: channel)
    channels.remove(channel)
    out.append(.channelCloseOk, channel: channel.number)
  }

  /// A frame on a channel that is closing.
  func takeClosing(_ frame: Frame, _ channel: AMQPChannel) {
    guard frame.kind == .method, let method = try? MethodFrame(frame.payload).method else { return }
    switch method {
    case .channelCloseOk: channels.remove(channel)
    case .channelClose:
      channels.remove(channel)
      out.append(.channelCloseOk, channel: channel.number)
    default: return
    }
  }

  private func letGo(of channel: AMQPChannel) {
    for (sub, subscription) in subscriptions where subscription.channel === channel { subscriptions[sub] = nil }
    heldBytes -= channel.content.pieceBytes + channel.operations.heldBytes
    channel.operations.close()
    channel.content.clear()
    confirming.removeAll { $0 === channel }
    unfinished.removeAll { $0 === channel }
    channel.confirms = nil
  }

  // MARK: The connection

  func end() { letGo() }

  /// What was delivered goes to others, and what belonged to the connection goes with it.
  func letGo() {
    guard !hasLetGo else { return }
    hasLetGo = true
    turnEnds()
    // A server that stops takes no queue away: the clients will come again.
    for channel in channels.inOrder { channel.operations.end(queuesStay: services.isStopping) }
    if !services.isStopping { rabbitMQ.connectionEnded(key) }
    channels.removeAll()
    subscriptions = [:]
    waitingGets = [:]
    blocked = nil
    unfinished = []
    heldBytes = 0
  }

  var hasUnanswered: Bool { stage != .closing && stage != .closed && stage != .expectsHeader }

  func storeFailed(_ lost: LostOutput, because failure: StorageError) {
    guard stage != .expectsHeader else { return output.closeNow() }
    // What was lost tells of things that may not have happened; nothing is sent in its place but the end.
    close(because: AMQPFault(.internalError, "the store has failed; restart the server: \(failure)"))
    finish()
  }

  func shutDown() {
    guard hasUnanswered else { return }
    close(because: AMQPFault(.connectionForced, "broker forced connection closure with reason 'shutdown'"))
  }
}
