// Virtual hosts: name spaces of exchanges, queues and bindings that know nothing of each other.
//
// Names in the broker: `rabbitmq/queue/<queue>`, `rabbitmq/delayed/<exchange>` (a relay), `rabbitmq/exchange/<exchange>` and
// `rabbitmq/binding/<number>` in the host `/`; `rabbitmq/host/<host>/queue/<queue>` and so on in others.

import Broker

/// The name of a virtual host, and what the names of its things begin with.
public struct VirtualHost: Sendable, Hashable {
  /// Its name.
  public let name: String
  private let prefix: String

  /// The host that is always there.
  public static let standard = VirtualHost(standardName: "/")
  static let otherPrefix = "rabbitmq/host/"

  /// A host besides the standard one; nil for what is no name: 1 to 128 bytes without a slash.
  public init?(_ name: String) {
    guard (1...128).contains(name.utf8.count), !name.contains("/") else { return nil }
    self.name = name
    prefix = Self.otherPrefix + name + "/"
  }

  private init(standardName: String) {
    name = standardName
    prefix = "rabbitmq/"
  }

  /// The host that a topic or an entry of the catalog belongs to, which is not the standard one; nil when there is none.
  init?(ofName text: [UInt8]) {
    guard text.starts(with: Self.otherPrefix.utf8) else { return nil }
    self.init(
      String(decoding: text.dropFirst(Self.otherPrefix.utf8.count).prefix { $0 != UInt8(ascii: "/") }, as: UTF8.self))
  }

  var queuePrefix: String { prefix + "queue/" }
  var relayPrefix: String { prefix + "delayed/" }
  var exchangePrefix: String { prefix + "exchange/" }
  var bindingPrefix: String { prefix + "binding/" }

  /// What people call a topic of this host; nil for another topic.
  fileprivate func words(forTopic topic: String) -> String? {
    let place = self == .standard ? "" : " in virtual host \(name)"
    if topic.hasPrefix(queuePrefix) { return "RabbitMQ queue \(topic.dropFirst(queuePrefix.count))\(place)" }
    guard topic.hasPrefix(relayPrefix) else { return nil }
    return "RabbitMQ exchange \(topic.dropFirst(relayPrefix.count))\(place)"
  }
}

extension RabbitMQ {
  /// What people call the topic behind a queue; nil for another topic.
  public static func words(forTopic name: String) -> String? {
    (VirtualHost(ofName: Array(name.utf8)) ?? .standard).words(forTopic: name)
  }
}
