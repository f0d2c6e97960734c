// Methods of the classes exchange and queue.
//
// Holds: as in RabbitMQ, names lose their line feeds and carriage returns here, and only here: a message published to a name with one finds
// no exchange.

import AMQPProtocol
import Broker
import Primitives
import RabbitMQFrontEnd

extension AMQPSession {
  private static func name(_ bytes: UnsafeRawBufferPointer) -> Text {
    Text(bytes.lazy.filter { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") })
  }

  // MARK: Exchanges

  func declareExchange(_ frame: MethodFrame, _ channel: AMQPChannel) throws(AMQPFault) {
    let method: ExchangeDeclare = try frame.decode()
    let name = Self.name(method.exchange)
    let arguments = JSONTree.members(method.arguments)
    try allowed(.exchangeDeclare) { rights throws(MissingRight) in
      try rights.require(method.passive ? .inspect : .admin, exchange: name)
      try rights.checkContinuation(arguments)
    }
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
        isInternal: method.isInternal, arguments: arguments)
      gate = try asking(.exchangeDeclare) { () throws(AMQPError) in try channel.operations.declare(declaration) }
    }
    answer(.exchangeDeclareOk, channel, unless: method.noWait, gate)
  }

  func deleteExchange(_ frame: MethodFrame, _ channel: AMQPChannel) throws(AMQPFault) {
    let method: ExchangeDelete = try frame.decode()
    try allowed(.exchangeDelete) { rights throws(MissingRight) in
      try rights.require(.admin, exchange: Self.name(method.exchange))
    }
    let gate = try asking(.exchangeDelete) { () throws(AMQPError) in
      try channel.operations.deleteExchange(Self.name(method.exchange), ifUnused: method.ifUnused)
    }
    answer(.exchangeDeleteOk, channel, unless: method.noWait, gate)
  }

  func bindExchange(_ frame: MethodFrame, _ channel: AMQPChannel) throws(AMQPFault) {
    let method: ExchangeBind = try frame.decode()
    let (destination, source) = (Self.name(method.destination), Self.name(method.source))
    let arguments = JSONTree.members(method.arguments)
    try allowedToBind(destination, to: source, arguments, .exchangeBind)
    let gate = try asking(.exchangeBind) { () throws(AMQPError) in
      try channel.operations.bindExchange(destination, to: source, Text(method.routingKey), arguments)
    }
    answer(.exchangeBindOk, channel, unless: method.noWait, gate)
  }

  func unbindExchange(_ frame: MethodFrame, _ channel: AMQPChannel) throws(AMQPFault) {
    let method: ExchangeUnbind = try frame.decode()
    let (destination, source) = (Self.name(method.destination), Self.name(method.source))
    let arguments = JSONTree.members(method.arguments)
    try allowedToBind(destination, to: source, arguments, .exchangeUnbind)
    let gate = try asking(.exchangeUnbind) { () throws(AMQPError) in
      try channel.operations.unbindExchange(destination, from: source, Text(method.routingKey), arguments)
    }
    answer(.exchangeUnbindOk, channel, unless: method.noWait, gate)
  }

  // MARK: Queues

  func declareQueue(_ frame: MethodFrame, _ channel: AMQPChannel) throws(AMQPFault) {
    let method: QueueDeclare = try frame.decode()
    let name = Self.name(method.queue)
    let arguments = JSONTree.members(method.arguments)
    try allowed(.queueDeclare) { rights throws(MissingRight) in
      // The server makes a name for a queue without one; a passive declaration without one asks for the last.
      let made = method.passive ? channel.operations.lastDeclaredQueue : RabbitMQ.madeNamePrefix
      try rights.require(method.passive ? .inspect : .admin, queue: name.isEmpty ? made : name)
      try rights.checkContinuation(arguments)
    }
    let declared = try asking(.queueDeclare) { () throws(AMQPError) in
      if method.passive { return try channel.operations.checkQueue(try channel.operations.resolve(name)) }
      return try channel.operations.declare(
        RabbitMQ.QueueDeclaration(
          name: name, isDurable: method.durable, isExclusive: method.exclusive, isAutoDelete: method.autoDelete,
          arguments: arguments))
    }
    output.hold(until: declared.gate)
    if method.noWait { return }
    let queue = declared.value
    queue.name.bytes.withBytes { name in
      let answer = QueueDeclareOk {
        $0.queue = name
        $0.messageCount = UInt32(clamping: queue.messageCount)
        $0.consumerCount = UInt32(clamping: queue.consumerCount)
      }
      out.append(answer, channel: channel.number)
    }
  }

  func bindQueue(_ frame: MethodFrame, _ channel: AMQPChannel) throws(AMQPFault) {
    let method: QueueBind = try frame.decode()
    try allowedToBind(queue: Self.name(method.queue), to: Self.name(method.exchange), channel, .queueBind)
    let gate = try asking(.queueBind) { () throws(AMQPError) in
      try channel.operations.bind(
        Self.name(method.queue), Self.name(method.exchange), Text(method.routingKey), JSONTree.members(method.arguments)
      )
    }
    answer(.queueBindOk, channel, unless: method.noWait, gate)
  }

  func unbindQueue(_ frame: MethodFrame, _ channel: AMQPChannel) throws(AMQPFault) {
    let method: QueueUnbind = try frame.decode()
    try allowedToBind(queue: Self.name(method.queue), to: Self.name(method.exchange), channel, .queueUnbind)
    let gate = try asking(.queueUnbind) { () throws(AMQPError) in
      try channel.operations.unbind(
        Self.name(method.queue), Self.name(method.exchange), Text(method.routingKey), JSONTree.members(method.arguments)
      )
    }
    answer(.queueUnbindOk, channel, unless: false, gate)
  }

  func purgeQueue(_ frame: MethodFrame, _ channel: AMQPChannel) throws(AMQPFault) {
    let method: QueuePurge = try frame.decode()
    try allowed(.admin, queue: Self.name(method.queue), channel, .queuePurge)
    let purged = try asking(.queuePurge) { () throws(AMQPError) in try channel.operations.purge(Self.name(method.queue))
    }
    output.hold(until: purged.gate)
    if method.noWait { return }
    out.append(QueuePurgeOk { $0.messageCount = UInt32(clamping: purged.value) }, channel: channel.number)
  }

  func deleteQueue(_ frame: MethodFrame, _ channel: AMQPChannel) throws(AMQPFault) {
    let method: QueueDelete = try frame.decode()
    try allowed(.admin, queue: Self.name(method.queue), channel, .queueDelete)
    let deleted = try asking(.queueDelete) { () throws(AMQPError) in
      try channel.operations.deleteQueue(Self.name(method.queue), ifUnused: method.ifUnused, ifEmpty: method.ifEmpty)
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
