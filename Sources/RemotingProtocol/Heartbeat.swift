// The body of a heartbeat: who a client is, what it produces for, what it consumes.
//
// Holds: C++ clients write a list only when it has elements and enumerations as numbers, Java clients write names; both read
// alike. Members that nobody needs are passed over.
// Leaves to others: whether groups and topics have acceptable names; tag expressions.

import LineProtocol

/// A client's heartbeat.
public struct Heartbeat: Equatable, Sendable {
  /// Who gets a message of the group's topics.
  public enum MessageModel: Int64, Sendable {
    /// Every member of the group; each keeps offsets of its own.
    case broadcasting = 0
    /// One member of the group.
    case clustering = 1
  }

  /// How a consumer comes by messages.
  public enum ConsumeType: Int64, Sendable {
    /// It pulls when its program says so.
    case actively = 0
    /// Its client pulls and calls its program.
    case passively = 1
    /// The broker hands out messages (5.x).
    case pop = 2
  }

  /// A topic that a consumer wants.
  public struct Subscription: Equatable, Sendable {
    /// The topic.
    public var topic: String
    /// The filter: tags joined by `||`, or `*`, or an SQL condition.
    public var expression: String
    /// `TAG` where nothing is said.
    public var expressionType: String
    /// When it was made, Unix ms; a larger one replaces a smaller.
    public var version: Int64
  }

  /// A consumer group that the client is a member of.
  public struct Consumer: Equatable, Sendable {
    /// The group.
    public var group: String
    /// How it consumes.
    public var consumeType: ConsumeType
    /// Who gets a message.
    public var messageModel: MessageModel
    /// What it subscribes to; clients add the retry topic of the group themselves.
    public var subscriptions: [Subscription]
  }

  /// The client's id: process, address and instance. Members of a group are told apart by it.
  public var clientID: String
  /// The groups it produces for.
  public var producerGroups: [String]
  /// The groups it consumes for.
  public var consumers: [Consumer]

  /// Reads a body. Not for the hot path: a client sends one every 30 s.
  ///
  /// - Throws: `malformedBody`.
  public init(_ body: UnsafeRawBufferPointer, _ reader: JSONReader) throws(RemotingError) {
    let members = try BodyObject(body, reader)
    clientID = try members.string("clientID")
    producerGroups = try members.objects("producerDataSet") { (producer) throws(RemotingError) in
      try producer.string("groupName")
    }
    consumers = try members.objects("consumerDataSet") { (consumer) throws(RemotingError) in
      Consumer(
        group: try consumer.string("groupName"),
        consumeType: try consumer.choice(
          "consumeType", ["CONSUME_ACTIVELY": .actively, "CONSUME_PASSIVELY": .passively, "CONSUME_POP": .pop])
          ?? .passively,
        messageModel: try consumer.choice("messageModel", ["BROADCASTING": .broadcasting, "CLUSTERING": .clustering])
          ?? .clustering,
        subscriptions: try consumer.objects("subscriptionDataSet") { (subscription) throws(RemotingError) in
          Subscription(
            topic: try subscription.string("topic"), expression: try subscription.string("subString"),
            expressionType: try subscription.optionalString("expressionType") ?? "TAG",
            version: try subscription.integer("subVersion"))
        })
    }
  }
}
