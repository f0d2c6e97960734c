// The fields of the methods of the classes connection and channel, in the order of the wire.
//
// Holds: strings and tables are views: of the frame when read, of the caller's bytes when written.
// Leaves to others: methods without fields, which need no struct (`Method`); what the fields mean (the specification).

// The fields have the names of the specification, which says more than a comment on each could.
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

/// `connection.start`
public struct ConnectionStart: MethodFields {
  public static var method: Method { .connectionStart }
  public var versionMajor: UInt8 = 0
  public var versionMinor: UInt8 = 0
  public var serverProperties = FieldTable.empty
  public var mechanisms = UnsafeRawBufferPointer.none
  public var locales = UnsafeRawBufferPointer.none
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.number(&versionMajor)
    fields.number(&versionMinor)
    fields.table(&serverProperties)
    fields.longString(&mechanisms)
    fields.longString(&locales)
  }
}

/// `connection.start-ok`
public struct ConnectionStartOk: MethodFields {
  public static var method: Method { .connectionStartOk }
  public var clientProperties = FieldTable.empty
  public var mechanism = UnsafeRawBufferPointer.none
  public var response = UnsafeRawBufferPointer.none
  public var locale = UnsafeRawBufferPointer.none
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.table(&clientProperties)
    fields.shortString(&mechanism)
    fields.longString(&response)
    fields.shortString(&locale)
  }
}

/// `connection.secure`
public struct ConnectionSecure: MethodFields {
  public static var method: Method { .connectionSecure }
  public var challenge = UnsafeRawBufferPointer.none
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.longString(&challenge)
  }
}

/// `connection.secure-ok`
public struct ConnectionSecureOk: MethodFields {
  public static var method: Method { .connectionSecureOk }
  public var response = UnsafeRawBufferPointer.none
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.longString(&response)
  }
}

/// `connection.tune`
public struct ConnectionTune: MethodFields {
  public static var method: Method { .connectionTune }
  public var channelMax: UInt16 = 0
  public var frameBytesMax: UInt32 = 0
  public var heartbeatSeconds: UInt16 = 0
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.number(&channelMax)
    fields.number(&frameBytesMax)
    fields.number(&heartbeatSeconds)
  }
}

/// `connection.tune-ok`
public struct ConnectionTuneOk: MethodFields {
  public static var method: Method { .connectionTuneOk }
  public var channelMax: UInt16 = 0
  public var frameBytesMax: UInt32 = 0
  public var heartbeatSeconds: UInt16 = 0
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.number(&channelMax)
    fields.number(&frameBytesMax)
    fields.number(&heartbeatSeconds)
  }
}

/// `connection.open`
public struct ConnectionOpen: MethodFields {
  public static var method: Method { .connectionOpen }
  public var virtualHost = UnsafeRawBufferPointer.none
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.shortString(&virtualHost)
    var reserved = UnsafeRawBufferPointer.none
    fields.shortString(&reserved)
    var reservedBit = false
    fields.bit(&reservedBit)
  }
}

/// `connection.close`
public struct ConnectionClose: CloseFields {
  public static var method: Method { .connectionClose }
  public var replyCode: UInt16 = 0
  public var replyText = UnsafeRawBufferPointer.none
  public var classID: UInt16 = 0
  public var methodID: UInt16 = 0
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.number(&replyCode)
    fields.shortString(&replyText)
    fields.number(&classID)
    fields.number(&methodID)
  }
}

/// `connection.blocked`
public struct ConnectionBlocked: MethodFields {
  public static var method: Method { .connectionBlocked }
  public var reason = UnsafeRawBufferPointer.none
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.shortString(&reason)
  }
}

/// `connection.update-secret`
public struct ConnectionUpdateSecret: MethodFields {
  public static var method: Method { .connectionUpdateSecret }
  public var newSecret = UnsafeRawBufferPointer.none
  public var reason = UnsafeRawBufferPointer.none
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.longString(&newSecret)
    fields.shortString(&reason)
  }
}

/// `channel.flow`
public struct ChannelFlow: MethodFields {
  public static var method: Method { .channelFlow }
  public var active = false
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.bit(&active)
  }
}

/// `channel.flow-ok`
public struct ChannelFlowOk: MethodFields {
  public static var method: Method { .channelFlowOk }
  public var active = false
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.bit(&active)
  }
}

/// `channel.close`
public struct ChannelClose: CloseFields {
  public static var method: Method { .channelClose }
  public var replyCode: UInt16 = 0
  public var replyText = UnsafeRawBufferPointer.none
  public var classID: UInt16 = 0
  public var methodID: UInt16 = 0
  public init() {}
  public mutating func code(_ fields: inout FieldCoder) {
    fields.number(&replyCode)
    fields.shortString(&replyText)
    fields.number(&classID)
    fields.number(&methodID)
  }
}

/// What the closes of connections and channels have in common.
public protocol CloseFields: MethodFields {
  var replyCode: UInt16 { get set }
  var replyText: UnsafeRawBufferPointer { get set }
  var classID: UInt16 { get set }
  var methodID: UInt16 { get set }
}

extension CloseFields {
  // The reply text is lent for as long as the result is used.
  init(_ fault: AMQPFault, replyText: UnsafeRawBufferPointer) {
    self.init()
    replyCode = fault.code.rawValue
    self.replyText = replyText
    classID = fault.method?.classID ?? 0
    methodID = fault.method?.methodID ?? 0
  }
}
