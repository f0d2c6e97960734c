// The error catalogue: AMQP's reply codes, and a refusal as it goes into `channel.close` or `connection.close`.
//
// Holds: a reply text is at most 255 bytes of whole UTF-8 characters, whatever names of the client it quotes.
// Leaves to others: when to refuse, and what a channel or connection does after it (the session).

import Primitives

/// A reply code. The name on the wire follows from the name of the case: `frameError` is `FRAME_ERROR`.
public enum ReplyCode: UInt16, CaseIterable, Sendable {
  case replySuccess = 200
  case contentTooLarge = 311
  case noRoute = 312
  case noConsumers = 313
  case connectionForced = 320
  case invalidPath = 402
  case accessRefused = 403
  case notFound = 404
  case resourceLocked = 405
  case preconditionFailed = 406
  case frameError = 501
  case syntaxError = 502
  case commandInvalid = 503
  case channelError = 504
  case unexpectedFrame = 505
  case resourceError = 506
  case notAllowed = 530
  case notImplemented = 540
  case internalError = 541

  /// The name as reply texts begin with it, for example `FRAME_ERROR`.
  public var name: String { caseWords(self).joined(separator: "_").uppercased() }

  /// Whether the error ends the connection; otherwise it ends the channel.
  public var closesConnection: Bool { self == .connectionForced || self == .invalidPath || rawValue >= 500 }
}

/// A refusal: what the peer is told when its channel or connection is closed.
public struct AMQPFault: Error, Equatable {
  /// Why, as a number.
  public var code: ReplyCode
  /// Why, in words, without the name of the code.
  public var explanation: String
  /// The method that caused it, when one did.
  public var method: Method?

  /// Makes a refusal.
  public init(_ code: ReplyCode, _ explanation: String, method: Method? = nil) {
    self.code = code
    self.explanation = explanation
    self.method = method
  }

  /// The reply text, for example `NOT_FOUND - no queue 'q' in vhost '/'`; cut to 255 bytes with `...` at the end.
  public var replyText: String {
    let text = "\(code.name) - \(explanation)"
    guard text.utf8.count > 255 else { return text }
    var end = text.utf8.index(text.startIndex, offsetBy: 252)
    while end.samePosition(in: text.unicodeScalars) == nil { text.utf8.formIndex(before: &end) }
    return text[..<end] + "..."
  }
}

extension ByteBuffer {
  /// Appends the close that a refusal asks for: `connection.close` for what ends the connection and for everything on
  /// channel 0, else `channel.close`.
  public mutating func append(closeFor fault: AMQPFault, channel: UInt16) {
    fault.replyText.withBytes { text in
      if fault.code.closesConnection || channel == 0 {
        append(ConnectionClose(fault, replyText: text), channel: 0)
      } else {
        append(ChannelClose(fault, replyText: text), channel: channel)
      }
    }
  }
}

/// The words of a case's name in lower case: `queueDeclareOk` gives `queue`, `declare`, `ok`.
func caseWords<Name>(_ value: Name) -> [String] {
  String(describing: value).reduce(into: [""]) { words, letter in
    if letter.isUppercase { words.append("") }
    words[words.count - 1] += letter.lowercased()
  }
}
