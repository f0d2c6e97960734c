// Secrets: how they are made, what is kept of them, and how one that a client shows is compared.
//
// Holds: only the hash of a secret is ever kept. A secret has 256 random bits, so a plain hash is enough: there is nothing
// to guess that salt or a slow hash would protect.
// Leaves to others: where random bytes come from, showing the secret once to whoever asked for it.

import Primitives

/// The SHA-256 of a secret's text.
public struct SecretHash: Hashable, Sendable {
  /// The 32 bytes.
  public let bytes: [UInt8]

  /// Hashes a secret as a client shows it: the bytes of its text.
  public init(of secret: UnsafeRawBufferPointer) { bytes = SHA256.hash(secret) }

  /// Hashes a secret.
  public init(of secret: String) { bytes = secret.withBytes { SHA256.hash($0) } }

  /// Reads 64 hexadecimal digits; nil for anything else.
  public init?(hexadecimal text: some Collection<UInt8>) {
    guard let bytes = Hexadecimal.decoded(text), bytes.count == SHA256.byteCount else { return nil }
    self.bytes = bytes
  }

  /// As 64 lower-case hexadecimal digits.
  public var hexadecimal: String { Hexadecimal.encoded(bytes) }

  /// Whether two hashes are the same; takes the same time whichever bytes differ.
  public func isSame(as other: SecretHash) -> Bool {
    var difference: UInt8 = 0
    for place in 0..<SHA256.byteCount { difference |= bytes[place] ^ other.bytes[place] }
    return difference == 0
  }
}

/// Making secrets.
public enum Secret {
  /// Random bytes in a secret.
  public static let randomBytes = 32

  /// A new secret: 64 lower-case hexadecimal digits.
  ///
  /// - Parameter fill: fills memory with bytes that nobody can foresee.
  public static func make(_ fill: (UnsafeMutableRawBufferPointer) -> Void) -> String {
    var bytes = [UInt8](repeating: 0, count: randomBytes)
    bytes.withUnsafeMutableBytes { fill($0) }
    return Hexadecimal.encoded(bytes)
  }
}

/// Bytes as hexadecimal digits.
enum Hexadecimal {
  private static let digits = Array("0123456789abcdef".utf8)

  static func encoded(_ bytes: [UInt8]) -> String {
    String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  /// The bytes; nil when there is an odd number of digits or something else among them.
  static func decoded(_ text: some Collection<UInt8>) -> [UInt8]? {
    guard text.count % 2 == 0 else { return nil }
    var bytes: [UInt8] = []
    var high: UInt8?
    for letter in text {
      guard let value = Character(Unicode.Scalar(letter)).hexDigitValue else { return nil }
      if let upper = high {
        bytes.append(upper << 4 | UInt8(value))
        high = nil
      } else {
        high = UInt8(value)
      }
    }
    return bytes
  }
}
