// A declaration of what is there already must say the same: the comparison, and RabbitMQ's words for a difference.
//
// Holds: the first difference is the one reported, in the order in which the caller asks.

/// The comparison of one declaration with what stands.
struct Equivalence {
  /// What is declared, such as `queue 'q'`.
  let subject: String

  /// Compares a setting.
  func require(_ key: String, _ given: some CustomStringConvertible, _ current: some CustomStringConvertible)
    throws(AMQPError)
  {
    if given.description != current.description { throw differ(key, "'\(given)'", "'\(current)'") }
  }

  /// What is meant when an argument is not there.
  private static let meantOtherwise: [Text: JSONTree] = ["x-queue-type": .string("classic")]

  /// Compares the arguments that count.
  func require(
    _ keys: [Text], given: [JSONTree.Member], current: [JSONTree.Member]
  ) throws(AMQPError) {
    for key in keys {
      let new = given.first { $0.key == key }?.value
      let old = current.first { $0.key == key }?.value
      switch (new, old) {
      case (nil, nil): continue
      case (nil, Self.meantOtherwise[key]), (Self.meantOtherwise[key], nil): continue
      case (let new?, let old?):
        if new != old { throw differ(key.description, "'\(new.plain)'", "'\(old.plain)'") }
      case (let new?, nil): throw differ(key.description, Self.typed(new), "none")
      case (nil, let old?): throw differ(key.description, "none", Self.typed(old))
      }
    }
  }

  private static func typed(_ value: JSONTree) -> String { "the value '\(value.plain)' of type '\(value.typeName)'" }

  private func differ(_ key: String, _ given: String, _ current: String) -> AMQPError {
    .preconditionFailed(
      "inequivalent arg '\(key)' for \(subject)", isInVirtualHost: true,
      ": received \(given) but current is \(current)")
  }
}
