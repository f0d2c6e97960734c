// consume, cancel, qos, get, and the ends of deliveries.

import AMQPProtocol
import Broker
import Primitives
import RabbitMQFrontEnd

extension AMQPSession {
  func consume(_ frame: MethodFrame, _ channel: AMQPChannel) throws(AMQPFault) {
    let method: BasicConsume = try frame.decode()
    try allowed(.consume, queue: Text(method.queue), channel, .basicConsume)
    guard channel.operations.consumerCount < AMQPLimits.consumersMax else {
      throw AMQPFault(
        .notAllowed, "reached maximum (\(AMQPLimits.consumersMax)) of consumers per channel", method: .basicConsume)
    }
    let consuming = try asking(.basicConsume) { () throws(AMQPError) in
      let priority = try RabbitMQChannel.priority(JSONTree.members(method.arguments))
      return try channel.operations.consume(
        Text(method.queue), tag: Text(method.consumerTag), noAck: method.noAck, sub: nextSub,
        isExclusive: method.exclusive, priority: priority)
    }
    subscriptions[nextSub] = AMQPSubscription(channel: channel, consumer: consuming.consumer)
    nextSub += 1
    if isDeliveryPaused { broker.setPaused(consuming.consumer, true) }
    if method.noWait { return }
    consuming.tag.bytes.withBytes { tag in
      out.append(BasicConsumeOk { $0.consumerTag = tag }, channel: channel.number)
    }
  }

  func cancel(_ frame: MethodFrame, _ channel: AMQPChannel) throws(AMQPFault) {
    let method: BasicCancel = try frame.decode()
    let ended = channel.operations.cancel(Text(method.consumerTag)) { delivery, gate in
      output.hold(until: gate)
      write(delivery, channel)
    }
    if let consumer = ended.value { subscriptions[consumer.sub] = nil }
    output.hold(until: ended.gate)
    if method.noWait { return }
    out.append(BasicCancelOk { $0.consumerTag = method.consumerTag }, channel: channel.number)
  }

  func qos(_ frame: MethodFrame, _ channel: AMQPChannel) throws(AMQPFault) {
    let method: BasicQos = try frame.decode()
    guard method.prefetchBytes == 0 else {
      throw AMQPFault(.notImplemented, "prefetch_size!=0 (\(method.prefetchBytes))", method: .basicQos)
    }
    let prefetch = Int(method.prefetchCount)
    if method.global {
      channel.operations.setSharedPrefetch(prefetch)
    } else {
      channel.operations.setPrefetch(prefetch)
    }
    out.append(.basicQosOk, channel: channel.number)
  }

  func get(_ frame: MethodFrame, _ channel: AMQPChannel) throws(AMQPFault) {
    let method: BasicGet = try frame.decode()
    try allowed(.consume, queue: Text(method.queue), channel, .basicGet)
    let token = services.makeToken()
    let reply = try asking(.basicGet) { () throws(AMQPError) in
      try channel.operations.get(Text(method.queue), noAck: method.noAck, token: token)
    }
    if case .later = reply.value {
      waitingGets[token] = channel
    } else {
      write(reply.value, channel)
      output.hold(until: reply.gate)
    }
  }

  // MARK: Ends

  @inline(__always)
  func acknowledge(_ frame: MethodFrame, _ channel: AMQPChannel) throws(AMQPFault) {
    let method: BasicAck = try frame.decode()
    note(
      try asking(.basicAck) { () throws(AMQPError) in
        try channel.operations.acknowledge(method.deliveryTag, multiple: method.multiple)
      })
  }

  func nack(_ frame: MethodFrame, _ channel: AMQPChannel) throws(AMQPFault) {
    let method: BasicNack = try frame.decode()
    note(
      try asking(.basicNack) { () throws(AMQPError) in
        try channel.operations.refuse(method.deliveryTag, multiple: method.multiple, requeue: method.requeue)
      })
  }

  func reject(_ frame: MethodFrame, _ channel: AMQPChannel) throws(AMQPFault) {
    let method: BasicReject = try frame.decode()
    note(
      try asking(.basicReject) { () throws(AMQPError) in
        try channel.operations.refuse(method.deliveryTag, multiple: false, requeue: method.requeue)
      })
  }

  /// Deliveries have ended. Nothing says so, but what is answered later tells of it.
  @inline(__always) private func note(_ gate: Gate) { if gate > .open { hasEnded = true } }

  /// An answer is written: what ended before it is durable when it is sent.
  func holdForEnds() {
    guard hasEnded else { return }
    hasEnded = false
    output.hold(until: .endOfTurn)
  }

  func recover(_ frame: MethodFrame, _ channel: AMQPChannel) throws(AMQPFault) {
    let method: BasicRecover = try frame.decode()
    try recover(channel, isRequeued: method.requeue, .basicRecover)
    out.append(.basicRecoverOk, channel: channel.number)
  }

  func recoverAsync(_ frame: MethodFrame, _ channel: AMQPChannel) throws(AMQPFault) {
    let method: BasicRecoverAsync = try frame.decode()
    try recover(channel, isRequeued: method.requeue, .basicRecoverAsync)
  }

  private func recover(_ channel: AMQPChannel, isRequeued: Bool, _ method: Method) throws(AMQPFault) {
    guard isRequeued else { throw AMQPFault(.notImplemented, "requeue=false", method: method) }
    try asking(method) { () throws(AMQPError) in try channel.operations.recover() }
  }
}
