// basic.publish with its content, and what the publisher hears of it.

import AMQPProtocol
import Broker
import Primitives
import RabbitMQFrontEnd

extension AMQPSession {
  // MARK: Coming in

  @inline(__always)
  func beginContent(_ frame: MethodFrame, _ channel: AMQPChannel) throws(AMQPFault) {
    channel.content.begin(try frame.decode())
    noteUnfinished(channel)
  }

  @inline(__always)
  func takeHeader(_ header: ContentHeader, _ channel: AMQPChannel) throws(AMQPFault) {
    guard header.bodyBytes <= UInt64(settings.messageBytesMax) else {
      throw AMQPFault(
        .preconditionFailed,
        "message size \(header.bodyBytes) is larger than configured max size \(settings.messageBytesMax)",
        method: .basicPublish)
    }
    channel.content.setHeader(header)
    noteUnfinished(channel)
    if header.bodyBytes == 0 { try publish(channel) }
  }

  @inline(__always)
  func takeBody(_ piece: UnsafeRawBufferPointer, _ channel: AMQPChannel) throws(AMQPFault) {
    let before = channel.content.pieceBytes
    channel.content.add(piece)
    heldBytes += channel.content.pieceBytes - before
    if channel.order.isComplete { return try publish(channel) }
    try requireBounded(.basicPublish)
  }

  /// Refuses what would be kept for clients that begin much and end nothing.
  func requireBounded(_ method: Method) throws(AMQPFault) {
    guard heldBytes <= Self.heldBytesMax else {
      throw AMQPFault(
        .resourceError, "more than \(Self.heldBytesMax) bytes of unfinished messages and transactions", method: method)
    }
  }

  /// What it has of its message lies where it was received, until more is received.
  @inline(__always)
  private func noteUnfinished(_ channel: AMQPChannel) {
    if unfinished.last !== channel, !unfinished.contains(where: { $0 === channel }) { unfinished.append(channel) }
  }

  // MARK: Publishing

  /// Does again what had to wait.
  func goOn(with blocked: Blocked) {
    self.blocked = nil
    let channel = blocked.channel
    do throws(AMQPFault) {
      switch blocked.command {
      case .publish: try publish(channel)
      case .commit: try commit(channel)
      }
    } catch {
      refuse(error, on: channel)
    }
  }

  /// Publishes the message that has come in whole on a channel.
  private func publish(_ channel: AMQPChannel) throws(AMQPFault) {
    if channel.content.isImmediate { throw AMQPFault(.notImplemented, "immediate=true", method: .basicPublish) }
    let properties = try BasicProperties(reading: channel.content.properties)
    try check(properties)
    let message = AMQPMessage(
      exchange: channel.content.exchange, routingKey: channel.content.routingKey, properties: properties,
      propertyBytes: channel.content.properties, body: channel.content.body, isMandatory: channel.content.isMandatory)
    if services.admission.asksWho { try allowedToPublish(message) }
    do throws(AMQPError) {
      let before = channel.operations.heldBytes
      tell(channel, try channel.operations.publish(message))
      heldBytes += channel.operations.heldBytes - before
    } catch {
      if block(channel, .publish, error) { return }
      throw fault(error, .basicPublish)
    }
    heldBytes -= channel.content.pieceBytes
    channel.content.clear()
    try requireBounded(.basicPublish)
  }

  /// Whether a command only has to wait; it is kept in mind then.
  func block(_ channel: AMQPChannel, _ command: Blocked.Command, _ error: AMQPError) -> Bool {
    switch error {
    case .stopped(.waitForDisk): blocked = Blocked(channel: channel, command: command, reason: .disk)
    case .stopped(.refused(let refusal))
    where [.diskFull, .busy].contains(refusal.code) && broker.refusesMessages:
      blocked = Blocked(channel: channel, command: command, reason: .space)
    default: return false
    }
    return true
  }

  /// A message may name its publisher, but nobody else, and is either transient or persistent.
  @inline(__always)
  private func check(_ properties: BasicProperties) throws(AMQPFault) {
    if let mode = properties.deliveryMode, mode != 1, mode != 2 {
      throw AMQPFault(
        .preconditionFailed, "invalid message: delivery mode \(mode) is neither 1 nor 2", method: .basicPublish)
    }
    guard let named = properties.userID, !named.elementsEqual(user.bytes) else { return }
    throw AMQPFault(
      .preconditionFailed,
      "user_id property set to '\(String(decoding: named, as: UTF8.self))' but authenticated user was '\(user)'",
      method: .basicPublish)
  }

  /// What became of a message: it comes back, is confirmed, is refused, or nothing is said.
  private func tell(_ channel: AMQPChannel, _ outcome: PublicationOutcome) {
    if let returned = outcome.returned {
      writeReturn(returned, because: outcome.returnedText, channel.content.body, channel)
    }
    guard channel.confirms != nil else { return }
    if outcome.refusedBy == nil { channel.confirms!.accept() } else { channel.confirms!.refuse() }
    output.hold(until: outcome.gate)
    if confirming.last !== channel, !confirming.contains(where: { $0 === channel }) { confirming.append(channel) }
  }

  func writeReturn(
    _ envelope: Envelope, because reason: StaticString, _ body: UnsafeRawBufferPointer, _ channel: AMQPChannel
  ) {
    envelope.withAMQP { exchange, routingKey, properties in
      let returned = BasicReturn {
        $0.replyCode = ReplyCode.noRoute.rawValue
        $0.replyText = UnsafeRawBufferPointer(start: reason.utf8Start, count: reason.utf8CodeUnitCount)
        $0.exchange = exchange
        $0.routingKey = routingKey
      }
      out.append(returned, channel: channel.number, properties: properties, body: body, maxFrameBytes: frameBytesMax)
    }
  }

  // MARK: Confirms

  func selectConfirms(_ frame: MethodFrame, _ channel: AMQPChannel) throws(AMQPFault) {
    let method: ConfirmSelect = try frame.decode()
    guard !channel.operations.isTransactional else {
      throw AMQPFault(.preconditionFailed, "cannot switch from tx to confirm mode", method: .confirmSelect)
    }
    if channel.confirms == nil { channel.confirms = AMQPConfirms() }
    if !method.noWait { out.append(.confirmSelectOk, channel: channel.number) }
  }

  func writeConfirms(of channel: AMQPChannel) {
    channel.confirms?.takeNews { isAccepted, number, isMultiple in
      if isAccepted {
        let ack = BasicAck {
          $0.deliveryTag = number
          $0.multiple = isMultiple
        }
        out.append(ack, channel: channel.number)
      } else {
        out.append(BasicNack { $0.deliveryTag = number }, channel: channel.number)
      }
    }
  }
}
