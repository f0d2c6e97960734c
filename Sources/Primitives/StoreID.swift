// The identity of one data folder, drawn at random when it is made and written into every file that must not be mixed up
// with another store's.
//
// Holds: 16 bytes, little-endian on disk (`low` first).
// Leaves to others: drawing it (Platform), keeping it from clients: it also tells the journal's own marks from bytes that a
// client put into a message.

/// Sixteen random bytes that name a data folder.
public struct StoreID: Hashable, Sendable {
  /// The first eight bytes.
  public let low: UInt64
  /// The last eight bytes.
  public let high: UInt64

  /// Makes an identity of two random numbers.
  public init(low: UInt64, high: UInt64) {
    self.low = low
    self.high = high
  }
}
