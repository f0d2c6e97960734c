// The expression by which a RocketMQ consumer says which tags it wants.
//
// Holds: `*` or nothing means all; else tags joined by `||`, with blanks around them ignored. What could match nothing by
// mistake is refused rather than taken: no tag at all, a single `|`, a `*` among tags.

import LineProtocol

/// Tags that a consumer wants.
public enum TagExpression {
  /// Tags of one expression.
  public static let tagsMax = 64
  /// Bytes of a tag.
  public static let tagBytesMax = 128

  /// Reads an expression; nil stands for every tag.
  ///
  /// - Throws: `bad_request`.
  /// - Source: RocketMQ's `FilterAPI.buildSubscriptionData`.
  public static func parse(_ expression: UnsafeRawBufferPointer) throws(Refusal) -> [[UInt8]]? {
    let text = trimmed(Array(expression)[...])
    if text.isEmpty || text.elementsEqual("*".utf8) { return nil }
    var tags: [[UInt8]] = []
    var rest = text
    while true {
      let end = separator(in: rest)
      let tag = Array(trimmed(rest[..<(end ?? rest.endIndex)]))
      if !tag.isEmpty {
        try require(tag)
        if !tags.contains(tag) { tags.append(tag) }
      }
      guard let end else { break }
      rest = rest[(end + 2)...]
    }
    guard !tags.isEmpty, tags.count <= tagsMax else {
      throw .invalid(.subExpression, mustBe: "\"*\" or 1 to \(tagsMax) tags joined by ||")
    }
    return tags
  }

  /// Whether a message's tag can be asked for.
  public static func isTag(_ tag: UnsafeRawBufferPointer) -> Bool {
    guard 1...tagBytesMax ~= tag.count, !tag.contains(UInt8(ascii: "|")), !tag.elementsEqual("*".utf8) else {
      return false
    }
    return !isBlank(tag[0]) && !isBlank(tag[tag.count - 1])
  }

  private static func require(_ tag: [UInt8]) throws(Refusal) {
    guard tag.withUnsafeBytes(isTag) else {
      let shown = String(decoding: tag.prefix(64), as: UTF8.self)
      throw .badRequest("field 'subExpression': '\(shown)' is no tag; '*' stands alone, and tags are joined by ||")
    }
  }

  private static func separator(in text: ArraySlice<UInt8>) -> Int? {
    let bar = UInt8(ascii: "|")
    return text.indices.dropLast().first { text[$0] == bar && text[$0 + 1] == bar }
  }

  private static func isBlank(_ byte: UInt8) -> Bool { byte <= 0x20 }

  private static func trimmed(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var text = text
    while let first = text.first, isBlank(first) { text.removeFirst() }
    while let last = text.last, isBlank(last) { text.removeLast() }
    return text
  }
}
