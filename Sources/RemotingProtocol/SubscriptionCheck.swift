// The body of CHECK_CLIENT_CONFIG: clients ask with it whether the broker can filter as a subscription says.

import LineProtocol

/// What a client wants to know.
public struct SubscriptionCheck: Equatable, Sendable {
  /// `TAG` or `SQL92`; `TAG` where nothing is said.
  public let expressionType: String

  /// Reads a body.
  ///
  /// - Throws: `malformedBody`.
  public init(_ body: UnsafeRawBufferPointer, _ reader: JSONReader) throws(RemotingError) {
    let subscription = try BodyObject(body, reader).object("subscriptionData")
    expressionType = try subscription?.optionalString("expressionType") ?? "TAG"
  }
}
