// One message as a consumer gets it, with the three answers to it: ack, nack and touch.

import Foundation

/// A message handed to a consumer.
///
/// With a group, each delivery must be acknowledged within the subscription's `ackWaitMs`, or it comes again.
/// `ack`, `nack` and `touch` do not wait: they are gathered and sent together. `Subscription.flush()` and
/// `EscapementClient.close()` wait until the server has them.
public struct Delivery: Sendable {
  /// The topic it is from.
  public let topic: String
  /// The group it was delivered to; nil for a private tail, where there is nothing to acknowledge.
  public let group: String?
  /// Its offset in the topic: 0, 1, 2, …
  public let offset: UInt64
  /// The message's id.
  public let id: String
  /// 1 for the first delivery; more when it comes again.
  public let attempt: Int
  /// When it was due, in Unix ms.
  public let deliverAtMs: Int64
  /// When the server released it, in Unix ms; never before `deliverAtMs`.
  public let releasedAtMs: Int64
  /// The ordering key.
  public let key: String?
  /// The tag.
  public let tag: String?
  /// The headers.
  public let headers: [String: String]
  /// The body: the JSON text exactly as it was sent, or the bytes.
  public let body: Data
  /// Whether the body is JSON text and not bytes without a meaning of their own.
  public let isJSON: Bool

  let outbox: AckOutbox?

  init(_ fields: RawObject, topic: String, group: String?, outbox: AckOutbox?) throws(EscapementError) {
    self.topic = topic
    self.group = group
    self.outbox = outbox
    offset = try fields.offset("offset")
    id = try fields.string("id")
    attempt = Int(clamping: try fields.int("attempt"))
    deliverAtMs = try fields.int("deliverAtMs")
    releasedAtMs = try fields.int("releasedAtMs")
    key = fields["key"]?.string
    tag = fields["tag"]?.string
    headers = fields.stringMap("headers")
    isJSON = fields["body"] != nil
    body = try fields.body()
  }

  /// The body as a value.
  ///
  /// - Throws: `DecodingError` when the body is not a `Value`.
  public func decode<Value: Decodable>(_: Value.Type, decoder: JSONDecoder = JSONDecoder()) throws -> Value {
    try decoder.decode(Value.self, from: body)
  }

  /// Done: the group does not get this message again. Kept across a lost connection and sent when the next one stands.
  public func ack() { settle(.ack) }

  /// Not done: deliver it again after `delayMs` (nil: after 1 s, doubled with each attempt, at most 10 min).
  /// Lost with a lost connection, which makes the server deliver it again anyway.
  public func nack(delayMs: Int64? = nil) { settle(.nack(delayMs: delayMs)) }

  /// Still at it: the time for the acknowledgement starts anew.
  public func touch() { settle(.touch) }

  private func settle(_ verdict: AckOutbox.Verdict) {
    guard let group else { return }
    outbox?.add(verdict, topic: topic, group: group, offset: offset)
  }
}
