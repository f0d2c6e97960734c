// Frames and methods: to whom they go.

import AMQPProtocol
import Broker
import Primitives
import RabbitMQFrontEnd

extension AMQPSession {
  /// Takes one frame.
  func take(_ frame: Frame) {
    if frame.kind == .heartbeat { return }
    if frame.channel == 0 {
      do throws(AMQPFault) { try takeOnConnection(frame) } catch { refuse(error, on: nil) }
      return
    }
    guard stage == .open else {
      if stage == .closing { return }
      return refuse(AMQPFault(.channelError, "channels are opened on an open connection"), on: nil)
    }
    guard let channel = channels[frame.channel] else {
      do throws(AMQPFault) { try openChannel(frame) } catch { refuse(error, on: nil) }
      return
    }
    if channel.isClosing { return takeClosing(frame, channel) }
    do throws(AMQPFault) { try take(frame, channel) } catch { refuse(error, on: channel) }
  }

  private func takeOnConnection(_ frame: Frame) throws(AMQPFault) {
    guard stage != .closing else { return takeClosing(frame) }
    let method = try MethodFrame(frame.payload)
    services.counters.requests += 1
    switch (stage, method.method) {
    case (.expectsStartOk, .connectionStartOk): try startOk(method)
    case (.expectsTuneOk, .connectionTuneOk): try tuneOk(method)
    case (.expectsOpen, .connectionOpen): try openConnection(method)
    case (.open, .connectionUpdateSecret):
      // A token that never ends needs no other.
      let _: ConnectionUpdateSecret = try method.decode()
      out.append(.connectionUpdateSecretOk, channel: 0)
    case (_, .connectionClose):
      let _: ConnectionClose = try method.decode()
      closedByClient()
    default: throw method.outOfPlace
    }
  }

  /// We have asked to close.
  private func takeClosing(_ frame: Frame) {
    switch (try? MethodFrame(frame.payload))?.method {
    case .connectionCloseOk: finish()
    case .connectionClose: closedByClient()
    default: return
    }
  }

  /// The client closes; that it ends the connection, too, is waited for, since several of its threads may close at once.
  private func closedByClient() {
    letGo()
    holdForEnds()
    out.append(.connectionCloseOk, channel: 0)
    stage = .closing
    output.wakeUpMs = broker.nowMs + AMQPLimits.closeMs
  }

  @inline(__always)
  private func take(_ frame: Frame, _ channel: AMQPChannel) throws(AMQPFault) {
    switch try channel.order.accept(frame) {
    case .method(let method):
      services.counters.requests += 1
      try perform(method, channel)
    case .header(let header): try takeHeader(header, channel)
    case .body(let piece): try takeBody(piece, channel)
    }
  }

  private func perform(_ frame: MethodFrame, _ channel: AMQPChannel) throws(AMQPFault) {
    switch frame.method {
    // What comes often, and is answered later or by what it brings.
    case .basicPublish: return try beginContent(frame, channel)
    case .basicAck: return try acknowledge(frame, channel)
    case .basicNack: return try nack(frame, channel)
    case .basicReject: return try reject(frame, channel)
    case .basicGet: return try get(frame, channel)
    case .basicConsume: try consume(frame, channel)
    case .basicCancel: try cancel(frame, channel)
    case .basicQos: try qos(frame, channel)
    case .basicRecover: try recover(frame, channel)
    case .basicRecoverAsync: try recoverAsync(frame, channel)
    // The answer to a cancel of ours, from clients that answer it.
    case .basicCancelOk: let _: BasicCancelOk = try frame.decode()
    case .exchangeDeclare: try declareExchange(frame, channel)
    case .exchangeDelete: try deleteExchange(frame, channel)
    case .exchangeBind: try bindExchange(frame, channel)
    case .exchangeUnbind: try unbindExchange(frame, channel)
    case .queueDeclare: try declareQueue(frame, channel)
    case .queueBind: try bindQueue(frame, channel)
    case .queueUnbind: try unbindQueue(frame, channel)
    case .queuePurge: try purgeQueue(frame, channel)
    case .queueDelete: try deleteQueue(frame, channel)
    case .confirmSelect: try selectConfirms(frame, channel)
    case .txSelect: try selectTransactions(frame, channel)
    case .txCommit:
      try frame.checkNoFields()
      try commit(channel)
    case .txRollback: try rollBack(frame, channel)
    case .channelFlow: try flow(frame, channel)
    case .channelClose:
      let _: ChannelClose = try frame.decode()
      close(channel)
    case .channelOpen: throw AMQPFault(.channelError, "second 'channel.open' seen", method: .channelOpen)
    // The answer to a close that we have given up on.
    case .channelCloseOk: return
    default: throw frame.outOfPlace
    }
    holdForEnds()
  }

  private func flow(_ frame: MethodFrame, _ channel: AMQPChannel) throws(AMQPFault) {
    let method: ChannelFlow = try frame.decode()
    guard method.active else { throw AMQPFault(.notImplemented, "active=false", method: .channelFlow) }
    out.append(ChannelFlowOk { $0.active = true }, channel: channel.number)
  }

  /// The refusal of a method, as the client reads it.
  func fault(_ error: AMQPError, _ method: Method) -> AMQPFault {
    AMQPFault(error, virtualHost: rabbitMQ.virtualHost, method)
  }

  /// Does what the front end is asked, and turns its refusal into one of the wire.
  @inline(__always)
  func asking<Result>(
    _ method: Method, _ body: () throws(AMQPError) -> Result
  ) throws(AMQPFault) -> Result {
    do throws(AMQPError) { return try body() } catch { throw fault(error, method) }
  }
}

extension AMQPFault {
  fileprivate init(_ error: AMQPError, virtualHost: VirtualHost, _ method: Method) {
    switch error {
    case .refused(let refusal):
      self.init(
        refusal.reply ?? .preconditionFailed, refusal.explanation(virtualHost: virtualHost.name), method: method)
    case .stopped(.refused(let refusal)): self.init(refusal, method)
    case .stopped(.waitForDisk): preconditionFailure("only publishing and basic.get ask for what may lie on disk")
    }
  }

  private init(_ refusal: BrokerRefusal, _ method: Method) {
    let code: ReplyCode =
      switch refusal.code {
      case .storageFailed: .internalError
      case .notFound: .notFound
      default: .preconditionFailed
      }
    self.init(code, refusal.message, method: method)
  }
}
