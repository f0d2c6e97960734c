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
    bytes.append(UInt8(node.utf8.count))
    bytes += node.utf8
    bytes.append(little: UInt16(address.utf8.count))
    bytes += address.utf8
    return bytes
  }

  init?(decoding body: ArraySlice<UInt8>) {
    let bytes = Array(body)
    guard bytes.count >= 33 else { return nil }
    let nodeEnd = 33 + Int(bytes[32])
    guard bytes.count >= nodeEnd + 2, bytes.count == nodeEnd + 2 + Int(bytes.little(UInt16.self, at: nodeEnd)) else {
      return nil
    }
    func id(_ offset: Int) -> StoreID {
      StoreID(low: bytes.little(UInt64.self, at: offset), high: bytes.little(UInt64.self, at: offset + 8))
    }
    identity = LogIdentity(store: id(0), hashKey: id(16))
    node = String(decoding: bytes[33..<nodeEnd], as: UTF8.self)
    address = String(decoding: bytes[(nodeEnd + 2)...], as: UTF8.self)
  }
}

/// A node is there, and has a durable checkpoint that holds all entries up to a position of the stream.
public struct CheckpointNote: Equatable, Sendable {
  /// The node; at most 255 bytes.
  public var node: String
  /// Where it is found.
  public var address: String
  /// The last message of the stream that its checkpoint holds; 0 when it has none.
  public var streamSequence: UInt64
  /// Whether it has been at the end of the log for long enough to be given the leadership.
  public var isReady: Bool

  /// Puts them together.
  public init(node: String, address: String, streamSequence: UInt64, isReady: Bool = false) {
    precondition(node.utf8.count <= 255, "the name of a node is short")
    self.node = node
    self.address = address
    self.streamSequence = streamSequence
    self.isReady = isReady
  }

  func encoded() -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(little: streamSequence)
    bytes.append(isReady ? 1 : 0)
    bytes.append(UInt8(node.utf8.count))
    return bytes + node.utf8 + address.utf8
  }

  init?(decoding body: ArraySlice<UInt8>) {
    let bytes = Array(body)
    guard bytes.count >= 10, bytes[8] <= 1, bytes.count >= 10 + Int(bytes[9]) else { return nil }
    let nodeEnd = 10 + Int(bytes[9])
    isReady = bytes[8] == 1
    streamSequence = bytes.little(UInt64.self, at: 0)
    node = String(decoding: bytes[10..<nodeEnd], as: UTF8.self)
    address = String(decoding: bytes[nodeEnd...], as: UTF8.self)
  }
}
