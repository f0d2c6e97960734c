// The names of RocketMQ's topics: plain ones as everywhere, and those that belong to a consumer group.
//
// Holds: `%` stands only in names that this front end makes; native requests cannot say them.

import LineProtocol

/// Names of topics as RocketMQ makes them.
public enum TopicNames {
  /// What the topic for a group's retries begins with.
  public static let retryPrefix = "%RETRY%"
  /// What the topic for a group's dead letters begins with.
  public static let deadLetterPrefix = "%DLQ%"

  /// The topic whose route clients ask for before they send to one that is not there.
  public static let defaultTopic = "TBW102"

  /// Where a group's retries come.
  public static func retry(_ group: String) -> String { retryPrefix + group }
  /// Where a group's dead letters go.
  public static func deadLetter(_ group: String) -> String { deadLetterPrefix + group }

  /// What people call such a topic; nil for a plain name.
  public static func words(for topic: String) -> String? {
    if topic.hasPrefix(retryPrefix) { return "RocketMQ retries of group \(topic.dropFirst(retryPrefix.count))" }
    if topic.hasPrefix(deadLetterPrefix) {
      return "RocketMQ dead letters of group \(topic.dropFirst(deadLetterPrefix.count))"
    }
    return nil
  }

  /// Whether it is a group's topic, for retries or dead letters.
  static func isOfGroup(_ name: UnsafeRawBufferPointer) -> Bool {
    name.first == UInt8(ascii: "%")
      && (name.starts(with: retryPrefix.utf8) || name.starts(with: deadLetterPrefix.utf8))
  }

  /// Whether a group may be named so.
  static func isGroup(_ name: UnsafeRawBufferPointer) -> Bool { isValidName(name) }

  /// Whether a topic may be named so: a plain name, or one of the two prefixes and a group's name.
  public static func isTopic(_ name: UnsafeRawBufferPointer) -> Bool {
    for prefix in [retryPrefix, deadLetterPrefix] where name.starts(with: prefix.utf8) {
      return isValidName(UnsafeRawBufferPointer(rebasing: name.dropFirst(prefix.utf8.count)))
    }
    return isValidName(name)
  }
}
