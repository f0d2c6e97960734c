// Methods of the classes exchange and queue.

import AMQPProtocol
import Broker
import Primitives
import RabbitMQFrontEnd

extension AMQPSession {
  // MARK: Exchanges

  func declareExchange(_ frame: MethodFrame, _ channel: AMQPChannel) throws(AMQPFault) {
    let method: ExchangeDeclare = try frame.decode()
    let name = Text(method.exchange)
    let gate: Gate
    if method.passive {
      gate = try asking(.exchangeDeclare) { () throws(AMQPError) in try channel.operations.checkExchange(name) }
    } else {
      let type = String(decoding: method.type, as: UTF8.self)
      guard let kind = ExchangeKind(rawValue: type) else {
        throw AMQPFault(.preconditionFailed, "unknown or invalid exchange type '\(type)'", method: .exchangeDeclare)
      }
      let declaration = RabbitMQ.ExchangeDeclaration(
        name: name, kind: kind, isDurable: method.durable, isAutoDelete: method.autoDelete,
        isInternal: method.isInternal, arguments: JSONTree.members(method.arguments))
      gate = try asking(.exchangeDeclare) { () throws(AMQPError) in try channel.operations.declare(declaration) }
    }
    answer(.exchangeDeclareOk, channel, unless: method.noWait, gate)
  }

  func deleteExchange(_ frame: MethodFrame, _ channel: AMQPChannel) throws(AMQPFault) {
    let method: ExchangeDelete = try frame.decode()
    let gate = try asking(.exchangeDelete) { () throws(AMQPError) in
      try channel.operations.deleteExchange(Text(method.exchange), ifUnused: method.ifUnused)
    }
    answer(.exchangeDeleteOk, channel, unless: method.noWait, gate)
  }

  func bindExchange(_ frame: MethodFrame, _ channel: AMQPChannel) throws(AMQPFault) {
    let method: ExchangeBind = try frame.decode()
    let gate = try asking(.exchangeBind) { () throws(AMQPError) in
      try channel.operations.bindExchange(
        Text(method.destination), to: Text(method.source), Text(method.routingKey), JSONTree.members(method.arguments))
    }
    answer(.exchangeBindOk, channel, unless: method.noWait, gate)
  }

  func unbindExchange(_ frame: MethodFrame, _ channel: AMQPChannel) throws(AMQPFault) {
    let method: ExchangeUnbind = try frame.decode()
    let gate = try asking(.exchangeUnbind) { () throws(AMQPError) in
      try channel.operations.unbindExchange(
        Text(method.destination), from: Text(method.source), Text(method.routingKey),
        JSONTree.members(method.arguments))
    }
    answer(.exchangeUnbindOk, channel, unless: method.noWait, gate)
  }

  // MARK: Queues

  func declareQueue(_ frame: MethodFrame, _ channel: AMQPChannel) throws(AMQPFault) {
    let method: QueueDeclare = try frame.decode()
    let name = Text(method.queue)
    let declared = try asking(.queueDeclare) { () throws(AMQPError) in
      if method.passive { return try channel.operations.checkQueue(try channel.operations.resolve(name)) }
      return try channel.operations.declare(
        RabbitMQ.QueueDeclaration(
          name: name, isDurable: method.durable, isExclusive: method.exclusive, isAutoDelete: method.autoDelete,
          arguments: JSONTree.members(method.arguments)))
    }
    output.hold(until: declared.gate)
    if method.noWait { return }
    let queue = declared.value
    queue.name.bytes.withBytes { name in
      let answer = QueueDeclareOk {
        $0.queue = name
        $0.messageCount = UInt32(clamping: services.rabbitMQ.messageCount(queue))
        $0.consumerCount = UInt32(clamping: queue.consumerCount)
      }
      out.append(answer, channel: channel.number)
    }
  }

  func bindQueue(_ frame: MethodFrame, _ channel: AMQPChannel) throws(AMQPFault) {
    let method: QueueBind = try frame.decode()
    let gate = try asking(.queueBind) { () throws(AMQPError) in
      try channel.operations.bind(
        Text(method.queue), Text(method.exchange), Text(method.routingKey), JSONTree.members(method.arguments))
    }
    answer(.queueBindOk, channel, unless: method.noWait, gate)
  }

  func unbindQueue(_ frame: MethodFrame, _ channel: AMQPChannel) throws(AMQPFault) {
    let method: QueueUnbind = try frame.decode()
    let gate = try asking(.queueUnbind) { () throws(AMQPError) in
      try channel.operations.unbind(
        Text(method.queue), Text(method.exchange), Text(method.routingKey), JSONTree.members(method.arguments))
    }
    answer(.queueUnbindOk, channel, unless: false, gate)
  }

  func purgeQueue(_ frame: MethodFrame, _ channel: AMQPChannel) throws(AMQPFault) {
    let method: QueuePurge = try frame.decode()
    let purged = try asking(.queuePurge) { () throws(AMQPError) in try channel.operations.purge(Text(method.queue)) }
    output.hold(until: purged.gate)
    if method.noWait { return }
    out.append(QueuePurgeOk { $0.messageCount = UInt32(clamping: purged.value) }, channel: channel.number)
  }

  func deleteQueue(_ frame: MethodFrame, _ channel: AMQPChannel) throws(AMQPFault) {
    let method: QueueDelete = try frame.decode()
    let deleted = try asking(.queueDelete) { () throws(AMQPError) in
      try channel.operations.deleteQueue(Text(method.queue), ifUnused: method.ifUnused, ifEmpty: method.ifEmpty)
    }
    output.hold(until: deleted.gate)
    if method.noWait { return }
    out.append(QueueDeleteOk { $0.messageCount = UInt32(clamping: deleted.value) }, channel: channel.number)
  }

  private func answer(_ method: Method, _ channel: AMQPChannel, unless noWait: Bool, _ gate: Gate) {
    output.hold(until: gate)
    if !noWait { out.append(method, channel: channel.number) }
  }
}
