// The fields of the methods of the classes basic and confirm, in the order of the wire.
//
// Holds: strings and tables are views: of the frame when read, of the caller's bytes when written.
// Leaves to others: methods without fields, which need no struct (`Method`); what the fields mean (the specification).

// The fields have the names of the specification, which says more than a comment on each could.
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

/// `basic.qos`
public struct BasicQos: MethodFields {
  public static var method: Method { .basicQos }
  public var prefetchBytes: UInt32 = 0
  public var prefetchCount: UInt16 = 0
  public var global = false
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.number(&prefetchBytes)
    fields.number(&prefetchCount)
    fields.bit(&global)
  }
}

/// `basic.consume`
public struct BasicConsume: MethodFields {
  public static var method: Method { .basicConsume }
  public var queue = UnsafeRawBufferPointer.none
  public var consumerTag = UnsafeRawBufferPointer.none
  public var noLocal = false
  public var noAck = false
  public var exclusive = false
  public var noWait = false
  public var arguments = FieldTable.empty
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.reservedShort()
    fields.shortString(&queue)
    fields.shortString(&consumerTag)
    fields.bit(&noLocal)
    fields.bit(&noAck)
    fields.bit(&exclusive)
    fields.bit(&noWait)
    fields.table(&arguments)
  }
}

/// `basic.consume-ok`
public struct BasicConsumeOk: MethodFields {
  public static var method: Method { .basicConsumeOk }
  public var consumerTag = UnsafeRawBufferPointer.none
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.shortString(&consumerTag)
  }
}

/// `basic.cancel`
public struct BasicCancel: MethodFields {
  public static var method: Method { .basicCancel }
  public var consumerTag = UnsafeRawBufferPointer.none
  public var noWait = false
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.shortString(&consumerTag)
    fields.bit(&noWait)
  }
}

/// `basic.cancel-ok`
public struct BasicCancelOk: MethodFields {
  public static var method: Method { .basicCancelOk }
  public var consumerTag = UnsafeRawBufferPointer.none
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.shortString(&consumerTag)
  }
}

/// `basic.publish`
public struct BasicPublish: MethodFields {
  public static var method: Method { .basicPublish }
  public var exchange = UnsafeRawBufferPointer.none
  public var routingKey = UnsafeRawBufferPointer.none
  public var mandatory = false
  public var immediate = false
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.reservedShort()
    fields.shortString(&exchange)
    fields.shortString(&routingKey)
    fields.bit(&mandatory)
    fields.bit(&immediate)
  }
}

/// `basic.return`
public struct BasicReturn: MethodFields {
  public static var method: Method { .basicReturn }
  public var replyCode: UInt16 = 0
  public var replyText = UnsafeRawBufferPointer.none
  public var exchange = UnsafeRawBufferPointer.none
  public var routingKey = UnsafeRawBufferPointer.none
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.number(&replyCode)
    fields.shortString(&replyText)
    fields.shortString(&exchange)
    fields.shortString(&routingKey)
  }
}

/// `basic.deliver`
public struct BasicDeliver: MethodFields {
  public static var method: Method { .basicDeliver }
  public var consumerTag = UnsafeRawBufferPointer.none
  public var deliveryTag: UInt64 = 0
  public var redelivered = false
  public var exchange = UnsafeRawBufferPointer.none
  public var routingKey = UnsafeRawBufferPointer.none
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.shortString(&consumerTag)
    fields.number(&deliveryTag)
    fields.bit(&redelivered)
    fields.shortString(&exchange)
    fields.shortString(&routingKey)
  }
}

/// `basic.get`
public struct BasicGet: MethodFields {
  public static var method: Method { .basicGet }
  public var queue = UnsafeRawBufferPointer.none
  public var noAck = false
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.reservedShort()
    fields.shortString(&queue)
    fields.bit(&noAck)
  }
}

/// `basic.get-ok`
public struct BasicGetOk: MethodFields {
  public static var method: Method { .basicGetOk }
  public var deliveryTag: UInt64 = 0
  public var redelivered = false
  public var exchange = UnsafeRawBufferPointer.none
  public var routingKey = UnsafeRawBufferPointer.none
  public var messageCount: UInt32 = 0
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.number(&deliveryTag)
    fields.bit(&redelivered)
    fields.shortString(&exchange)
    fields.shortString(&routingKey)
    fields.number(&messageCount)
  }
}

/// `basic.ack`
public struct BasicAck: MethodFields {
  public static var method: Method { .basicAck }
  public var deliveryTag: UInt64 = 0
  public var multiple = false
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.number(&deliveryTag)
    fields.bit(&multiple)
  }
}

/// `basic.reject`
public struct BasicReject: MethodFields {
  public static var method: Method { .basicReject }
  public var deliveryTag: UInt64 = 0
  public var requeue = false
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.number(&deliveryTag)
    fields.bit(&requeue)
  }
}

/// `basic.nack`
public struct BasicNack: MethodFields {
  public static var method: Method { .basicNack }
  public var deliveryTag: UInt64 = 0
  public var multiple = false
  public var requeue = false
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.number(&deliveryTag)
    fields.bit(&multiple)
    fields.bit(&requeue)
  }
}

/// `basic.recover`
public struct BasicRecover: MethodFields {
  public static var method: Method { .basicRecover }
  public var requeue = false
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.bit(&requeue)
  }
}

/// `basic.recover-async`
public struct BasicRecoverAsync: MethodFields {
  public static var method: Method { .basicRecoverAsync }
  public var requeue = false
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.bit(&requeue)
  }
}

/// `confirm.select`
public struct ConfirmSelect: MethodFields {
  public static var method: Method { .confirmSelect }
  public var noWait = false
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.bit(&noWait)
  }
}
