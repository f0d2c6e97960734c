// Why something about TLS does not work, in words for whoever has to put it right.

/// A failure of TLS: what was tried, with the file or name it was tried on, and why it failed.
public struct TLSError: Error, Equatable, Sendable, CustomStringConvertible {
  /// In one line.
  public let description: String

  /// Makes one.
  public init(_ description: String) { self.description = description }
}
