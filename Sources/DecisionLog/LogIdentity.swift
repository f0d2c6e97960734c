// The identity of a log: the store that it belongs to, and the key of its hashes.
//
// Holds: all that is random about a log: two logs with the same identity and the same records mean the same.
// Leaves to others: drawing it, and keeping it (a journal's is kept in the checkpoint file beside it).

import Primitives

/// The identity of a log.
public struct LogIdentity: Equatable, Sendable {
  /// Names the store; part of what its files or entries carry, so that those of two stores are not mixed up.
  public var store: StoreID
  /// The key of the hashes in its records. Everyone who reads the log hashes with it.
  public var hashKey: StoreID

  /// Puts the two together.
  public init(store: StoreID, hashKey: StoreID) {
    self.store = store
    self.hashKey = hashKey
  }
}
