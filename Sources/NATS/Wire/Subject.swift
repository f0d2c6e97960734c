// Names of subjects: words with dots between them.

/// What may stand as a subject in a line of the protocol.
public enum Subject {
  /// Longer ones are refused: a line that a server takes has 4096 bytes.
  static let bytesMax = 1024

  /// Whether one may publish to it: visible ASCII without wildcards, no empty word.
  public static func isLiteral(_ subject: String) -> Bool {
    isAllowed(subject) && !subject.utf8.contains(where: { $0 == UInt8(ascii: "*") || $0 == UInt8(ascii: ">") })
  }

  /// Whether one may subscribe to it: wildcards are allowed.
  static func isAllowed(_ subject: String) -> Bool {
    let bytes = subject.utf8
    guard !bytes.isEmpty, bytes.count <= bytesMax, bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return false }
    return bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy { !$0.isEmpty }
  }
}
