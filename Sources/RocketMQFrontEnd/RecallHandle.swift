// The handle by which a delayed message is recalled: base64url of `v1 <topic> <broker> <deliverTimeMs> <msgId>`.
//
// Holds: the name of the broker in it is a keyed mark of all the rest, so that a handle which this data folder did not give
// is told from one that it did.
// Leaves to others: the mark (`Broker.mark`), what becomes of the message.

import Primitives

/// A recall handle.
public struct RecallHandle: Equatable, Sendable {
  /// Makes a keyed mark of a text.
  public typealias Mark = (UnsafeRawBufferPointer) -> IDHash

  /// The topic of the message.
  public let topic: String
  /// When it was to be delivered.
  public let deliverTimeMs: UnixMs
  /// Its id.
  public let messageID: String

  /// A handle for a message.
  public init(topic: String, deliverTimeMs: UnixMs, messageID: String) {
    self.topic = topic
    self.deliverTimeMs = deliverTimeMs
    self.messageID = messageID
  }

  /// The text for the client.
  public func encoded(_ mark: Mark) -> String { Base64URL.encoded(plainText(mark).utf8) }

  /// Reads a handle; nil when it was not made with this mark.
  public init?(_ text: UnsafeRawBufferPointer, _ mark: Mark) {
    guard let bytes = Base64URL.decoded(text) else { return nil }
    let words = bytes.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
    guard words.count == 5, let deliverTimeMs = Int64(String(decoding: words[3], as: UTF8.self)) else { return nil }
    self.init(
      topic: String(decoding: words[1], as: UTF8.self), deliverTimeMs: deliverTimeMs,
      messageID: String(decoding: words[4], as: UTF8.self))
    // Whatever was given must be what would be written: version, mark, digits, everything.
    guard Self.isEqual(Array(plainText(mark).utf8), bytes) else { return nil }
  }

  private func plainText(_ mark: Mark) -> String {
    var marked = "v1 \(topic) \(deliverTimeMs) \(messageID)"
    let hash = marked.withUTF8 { mark(UnsafeRawBufferPointer($0)) }
    return "v1 \(topic) escapement-\(Self.hex(hash.high))\(Self.hex(hash.low)) \(deliverTimeMs) \(messageID)"
  }

  private static func hex(_ word: UInt64) -> String {
    let digits = String(word, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  /// Compares without telling by time how much was right.
  private static func isEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    var difference = left.count ^ right.count
    for (one, other) in zip(left, right) { difference |= Int(one ^ other) }
    return difference == 0
  }
}
