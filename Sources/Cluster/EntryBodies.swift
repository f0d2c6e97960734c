// The bodies of entries that are not records; their bytes stand in the table of `Entry.swift`.
//
// Holds: encoding and decoding again gives the same; a body with bytes too few or too many decodes as nil.
// Leaves to others: when they are sent (ReplicatedLog), what follows from them (Fold, Leadership).

import DecisionLog
import Primitives

/// The beginning of an epoch: from here on `node` leads.
public struct EpochStart: Equatable, Sendable {
  /// Who the log is. The first epoch says it, and all others repeat it.
  public var identity: LogIdentity
  /// The node that leads; at most 255 bytes.
  public var node: String
  /// Where its clients find it; at most 65 535 bytes.
  public var address: String

  /// Puts them together.
  public init(identity: LogIdentity, node: String, address: String) {
    precondition(node.utf8.count <= 255 && address.utf8.count <= 65_535, "the name and the address of a node are short")
    self.identity = identity
    self.node = node
    self.address = address
  }

  func encoded() -> [UInt8] {
    var bytes: [UInt8] = []
    for id in [identity.store, identity.hashKey] {
      bytes.append(little: id.low)
      bytes.append(little: id.high)
    }
    bytes.append(node: node, address: address)
    return bytes
  }

  init?(decoding body: ArraySlice<UInt8>) {
    let bytes = Array(body)
    guard let (node, address) = bytes.nodeAndAddress(at: 32) else { return nil }
    func id(_ offset: Int) -> StoreID {
      StoreID(low: bytes.little(UInt64.self, at: offset), high: bytes.little(UInt64.self, at: offset + 8))
    }
    identity = LogIdentity(store: id(0), hashKey: id(16))
    self.node = node
    self.address = address
  }
}

/// What a node says of itself: how far its durable checkpoint reaches, and where it is. Who says it lives, and may be given
/// the leadership.
public struct CheckpointNote: Equatable, Sendable {
  /// The node; at most 255 bytes.
  public var node: String
  /// Where its clients find it; at most 65 535 bytes.
  public var address: String
  /// The last message of the stream that its checkpoint holds; 0 when it has none.
  public var streamSequence: UInt64
  /// Whether it has been at the end of the log for long enough to be given the leadership.
  public var isReady: Bool

  /// Puts them together.
  public init(node: String, address: String, streamSequence: UInt64, isReady: Bool = false) {
    precondition(node.utf8.count <= 255 && address.utf8.count <= 65_535, "the name and the address of a node are short")
    self.node = node
    self.address = address
    self.streamSequence = streamSequence
    self.isReady = isReady
  }

  func encoded() -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(little: streamSequence)
    bytes.append(isReady ? 1 : 0)
    bytes.append(node: node, address: address)
    return bytes
  }

  init?(decoding body: ArraySlice<UInt8>) {
    let bytes = Array(body)
    guard let (node, address) = bytes.nodeAndAddress(at: 9), bytes[8] <= 1 else { return nil }
    streamSequence = bytes.little(UInt64.self, at: 0)
    isReady = bytes[8] == 1
    self.node = node
    self.address = address
  }
}

extension [UInt8] {
  fileprivate mutating func append(node: String, address: String) {
    append(UInt8(node.utf8.count))
    self += node.utf8
    append(little: UInt16(address.utf8.count))
    self += address.utf8
  }

  /// The name and the address that stand from `start` to the end; nil when they end elsewhere.
  fileprivate func nodeAndAddress(at start: Int) -> (node: String, address: String)? {
    guard count > start else { return nil }
    let nodeEnd = start + 1 + Int(self[start])
    guard count >= nodeEnd + 2, count == nodeEnd + 2 + Int(little(UInt16.self, at: nodeEnd)) else { return nil }
    return (
      String(decoding: self[(start + 1)..<nodeEnd], as: UTF8.self),
      String(decoding: self[(nodeEnd + 2)...], as: UTF8.self)
    )
  }
}
