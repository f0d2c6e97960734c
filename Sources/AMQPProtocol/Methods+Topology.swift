// The fields of the methods of the classes exchange and queue, in the order of the wire.
//
// Holds: strings and tables are views: of the frame when read, of the caller's bytes when written.
// Leaves to others: methods without fields, which need no struct (`Method`); what the fields mean (the specification).

// The fields have the names of the specification, which says more than a comment on each could.
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

/// `exchange.declare`
public struct ExchangeDeclare: MethodFields {
  public static var method: Method { .exchangeDeclare }
  public var exchange = UnsafeRawBufferPointer.none
  public var type = UnsafeRawBufferPointer.none
  public var passive = false
  public var durable = false
  public var autoDelete = false
  public var isInternal = false
  public var noWait = false
  public var arguments = FieldTable.empty
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.reservedShort()
    fields.shortString(&exchange)
    fields.shortString(&type)
    fields.bit(&passive)
    fields.bit(&durable)
    fields.bit(&autoDelete)
    fields.bit(&isInternal)
    fields.bit(&noWait)
    fields.table(&arguments)
  }
}

/// `exchange.delete`
public struct ExchangeDelete: MethodFields {
  public static var method: Method { .exchangeDelete }
  public var exchange = UnsafeRawBufferPointer.none
  public var ifUnused = false
  public var noWait = false
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.reservedShort()
    fields.shortString(&exchange)
    fields.bit(&ifUnused)
    fields.bit(&noWait)
  }
}

/// `exchange.bind`
public struct ExchangeBind: MethodFields {
  public static var method: Method { .exchangeBind }
  public var destination = UnsafeRawBufferPointer.none
  public var source = UnsafeRawBufferPointer.none
  public var routingKey = UnsafeRawBufferPointer.none
  public var noWait = false
  public var arguments = FieldTable.empty
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.reservedShort()
    fields.shortString(&destination)
    fields.shortString(&source)
    fields.shortString(&routingKey)
    fields.bit(&noWait)
    fields.table(&arguments)
  }
}

/// `exchange.unbind`
public struct ExchangeUnbind: MethodFields {
  public static var method: Method { .exchangeUnbind }
  public var destination = UnsafeRawBufferPointer.none
  public var source = UnsafeRawBufferPointer.none
  public var routingKey = UnsafeRawBufferPointer.none
  public var noWait = false
  public var arguments = FieldTable.empty
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.reservedShort()
    fields.shortString(&destination)
    fields.shortString(&source)
    fields.shortString(&routingKey)
    fields.bit(&noWait)
    fields.table(&arguments)
  }
}

/// `queue.declare`
public struct QueueDeclare: MethodFields {
  public static var method: Method { .queueDeclare }
  public var queue = UnsafeRawBufferPointer.none
  public var passive = false
  public var durable = false
  public var exclusive = false
  public var autoDelete = false
  public var noWait = false
  public var arguments = FieldTable.empty
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.reservedShort()
    fields.shortString(&queue)
    fields.bit(&passive)
    fields.bit(&durable)
    fields.bit(&exclusive)
    fields.bit(&autoDelete)
    fields.bit(&noWait)
    fields.table(&arguments)
  }
}

/// `queue.declare-ok`
public struct QueueDeclareOk: MethodFields {
  public static var method: Method { .queueDeclareOk }
  public var queue = UnsafeRawBufferPointer.none
  public var messageCount: UInt32 = 0
  public var consumerCount: UInt32 = 0
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.shortString(&queue)
    fields.number(&messageCount)
    fields.number(&consumerCount)
  }
}

/// `queue.bind`
public struct QueueBind: MethodFields {
  public static var method: Method { .queueBind }
  public var queue = UnsafeRawBufferPointer.none
  public var exchange = UnsafeRawBufferPointer.none
  public var routingKey = UnsafeRawBufferPointer.none
  public var noWait = false
  public var arguments = FieldTable.empty
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.reservedShort()
    fields.shortString(&queue)
    fields.shortString(&exchange)
    fields.shortString(&routingKey)
    fields.bit(&noWait)
    fields.table(&arguments)
  }
}

/// `queue.unbind`
public struct QueueUnbind: MethodFields {
  public static var method: Method { .queueUnbind }
  public var queue = UnsafeRawBufferPointer.none
  public var exchange = UnsafeRawBufferPointer.none
  public var routingKey = UnsafeRawBufferPointer.none
  public var arguments = FieldTable.empty
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.reservedShort()
    fields.shortString(&queue)
    fields.shortString(&exchange)
    fields.shortString(&routingKey)
    fields.table(&arguments)
  }
}

/// `queue.purge`
public struct QueuePurge: MethodFields {
  public static var method: Method { .queuePurge }
  public var queue = UnsafeRawBufferPointer.none
  public var noWait = false
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.reservedShort()
    fields.shortString(&queue)
    fields.bit(&noWait)
  }
}

/// `queue.purge-ok`
public struct QueuePurgeOk: MethodFields {
  public static var method: Method { .queuePurgeOk }
  public var messageCount: UInt32 = 0
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.number(&messageCount)
  }
}

/// `queue.delete`
public struct QueueDelete: MethodFields {
  public static var method: Method { .queueDelete }
  public var queue = UnsafeRawBufferPointer.none
  public var ifUnused = false
  public var ifEmpty = false
  public var noWait = false
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.reservedShort()
    fields.shortString(&queue)
    fields.bit(&ifUnused)
    fields.bit(&ifEmpty)
    fields.bit(&noWait)
  }
}

/// `queue.delete-ok`
public struct QueueDeleteOk: MethodFields {
  public static var method: Method { .queueDeleteOk }
  public var messageCount: UInt32 = 0
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.number(&messageCount)
  }
}
