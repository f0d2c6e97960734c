// The methods of AMQP 0-9-1 with RabbitMQ's extensions, in one table.
//
// Holds: the raw value is class × 1000 + method, so that the table reads like the specification's; method numbers are
// below 1000. Everything else that is known of a method without its fields follows from its case.
// Leaves to others: the fields (Methods+*.swift), what a method means (the session).
// Source: amqp0-9-1.stripped.extended.xml; connection.blocked and update-secret from RabbitMQ's documentation.

/// A method.
public enum Method: UInt32, CaseIterable, Sendable {
  case connectionStart = 10_010
  case connectionStartOk = 10_011
  case connectionSecure = 10_020
  case connectionSecureOk = 10_021
  case connectionTune = 10_030
  case connectionTuneOk = 10_031
  case connectionOpen = 10_040
  case connectionOpenOk = 10_041
  case connectionClose = 10_050
  case connectionCloseOk = 10_051
  case connectionBlocked = 10_060
  case connectionUnblocked = 10_061
  case connectionUpdateSecret = 10_070
  case connectionUpdateSecretOk = 10_071

  case channelOpen = 20_010
  case channelOpenOk = 20_011
  case channelFlow = 20_020
  case channelFlowOk = 20_021
  case channelClose = 20_040
  case channelCloseOk = 20_041

  case exchangeDeclare = 40_010
  case exchangeDeclareOk = 40_011
  case exchangeDelete = 40_020
  case exchangeDeleteOk = 40_021
  case exchangeBind = 40_030
  case exchangeBindOk = 40_031
  case exchangeUnbind = 40_040
  case exchangeUnbindOk = 40_051

  case queueDeclare = 50_010
  case queueDeclareOk = 50_011
  case queueBind = 50_020
  case queueBindOk = 50_021
  case queuePurge = 50_030
  case queuePurgeOk = 50_031
  case queueDelete = 50_040
  case queueDeleteOk = 50_041
  case queueUnbind = 50_050
  case queueUnbindOk = 50_051

  case basicQos = 60_010
  case basicQosOk = 60_011
  case basicConsume = 60_020
  case basicConsumeOk = 60_021
  case basicCancel = 60_030
  case basicCancelOk = 60_031
  case basicPublish = 60_040
  case basicReturn = 60_050
  case basicDeliver = 60_060
  case basicGet = 60_070
  case basicGetOk = 60_071
  case basicGetEmpty = 60_072
  case basicAck = 60_080
  case basicReject = 60_090
  case basicRecoverAsync = 60_100
  case basicRecover = 60_110
  case basicRecoverOk = 60_111
  case basicNack = 60_120

  case confirmSelect = 85_010
  case confirmSelectOk = 85_011

  case txSelect = 90_010
  case txSelectOk = 90_011
  case txCommit = 90_020
  case txCommitOk = 90_021
  case txRollback = 90_030
  case txRollbackOk = 90_031

  /// The number of the class that contents have: basic.
  public static let basicClass: UInt16 = 60

  /// The method with these numbers; nil for one that is not in the table.
  public init?(classID: UInt16, methodID: UInt16) {
    guard methodID < 1000 else { return nil }
    self.init(rawValue: UInt32(classID) * 1000 + UInt32(methodID))
  }

  /// The number of its class.
  public var classID: UInt16 { UInt16(rawValue / 1000) }

  /// Its number within the class.
  public var methodID: UInt16 { UInt16(rawValue % 1000) }

  /// Class and method as the specification writes them, for example `queue.declare-ok`.
  public var name: String {
    let words = caseWords(self)
    return words[0] + "." + words[1...].joined(separator: "-")
  }

  /// Whether a content header follows the method.
  public var carriesContent: Bool {
    switch self {
    case .basicPublish, .basicReturn, .basicDeliver, .basicGetOk: true
    default: false
    }
  }

  /// Whether it is a request that its sender waits to be answered, or the answer, as the specification marks it.
  public var isSynchronous: Bool {
    switch self {
    case .connectionBlocked, .connectionUnblocked, .channelFlowOk, .basicPublish, .basicReturn, .basicDeliver,
      .basicAck, .basicReject, .basicRecoverAsync, .basicRecover, .basicNack:
      false
    default: true
    }
  }

  // What stands in the place of fields that no longer mean anything, in methods that have no others.
  var reservedField: ReservedField {
    switch self {
    case .connectionOpenOk, .channelOpen, .basicGetEmpty: .shortString
    case .channelOpenOk: .longString
    default: .none
    }
  }

  enum ReservedField: Int {
    case none = 0
    case shortString = 1
    case longString = 4

    /// Bytes of the length in front of the field; what we send is this length, zero.
    var lengthBytes: Int { rawValue }
  }
}
