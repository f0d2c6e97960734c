// An entry: one message of the replicated stream.
//
//   offset  size  field
//        0     4  "ESCE"
//        4     4  CRC-32C over the bytes from 8 to the end of the message
//        8     1  kind: 1 epoch, 2 records, 3 heartbeat, 4 checkpointed, 5 resign
//        9     1  flags: bit 0: the last record goes on in the next entry
//       10     2  zero
//       12     4  how many records end in this entry
//       16     8  epoch
//       24     8  index: 0 for the entry that begins the epoch, then 1, 2, 3, …
//       32     8  chain: a hash over all valid entries before this one
//       40     8  service time of its leader when it was made, Unix ms
//       48     8  sequence of the first record that does not end before this entry
//       56     …  body
//
// Bodies, by kind:
//   epoch         identity of the log (u64 × 4: store, hash key; low half first), u8 n and n bytes: name of the node that leads,
//                 u16 n and n bytes: address for its clients
//   records       bytes of frames (`DecisionLog/Frame`), cut anywhere; what is cut goes on at the start of the next such entry
//   heartbeat     nothing
//   checkpointed  u64 position in the stream up to which a durable checkpoint of a node holds all, u8 1 when the node is ready to
//                 lead (otherwise 0), u8 n and n bytes: its name, then its address
//   resign        the name of the node that shall lead next; empty: any
//
// All integers are little-endian.
//
// Holds: within an epoch an index names its bytes for ever: whoever sends an entry again sends the same bytes.
// Leaves to others: which entries count (Fold), what stands in records (the broker).

import DecisionLog
import Primitives

/// The fields in front of an entry's body.
public struct Entry: Equatable, Sendable {
  /// What an entry is about.
  public enum Kind: UInt8, Sendable, CaseIterable {
    case epoch = 1
    case records, heartbeat, checkpointed, resign
  }

  /// Bytes in front of the body.
  public static let headerBytes = 56
  /// The longest body that a leader makes: beyond it, latency grows and throughput does not.
  public static let bodyBytesMax = 128 << 10
  private static let magic: UInt32 = 0x4543_5345

  /// What it is about.
  public var kind: Kind
  /// Whether its last record goes on in the next entry.
  public var goesOn = false
  /// How many records end in it.
  public var endedRecords: UInt32 = 0
  /// The leadership that made it.
  public var epoch: UInt64
  /// Its place in the epoch.
  public var index: UInt64
  /// The hash over all valid entries before it.
  public var chain: UInt64
  /// When it was made, by the leader's service clock.
  public var serviceMs: UnixMs
  /// The first record that does not end before it.
  public var firstRecord: Sequence

  /// Puts the fields together.
  public init(
    _ kind: Kind, epoch: UInt64, index: UInt64, chain: UInt64, serviceMs: UnixMs, firstRecord: Sequence,
    endedRecords: UInt32 = 0, goesOn: Bool = false
  ) {
    self.kind = kind
    self.epoch = epoch
    self.index = index
    self.chain = chain
    self.serviceMs = serviceMs
    self.firstRecord = firstRecord
    self.endedRecords = endedRecords
    self.goesOn = goesOn
  }

  /// The bytes of the message with this body. O(body).
  public func encoded(body: ArraySlice<UInt8>) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Self.headerBytes + body.count)
    bytes.append(little: Self.magic)
    bytes.append(little: UInt32(0))
    bytes += [kind.rawValue, goesOn ? 1 : 0, 0, 0]
    bytes.append(little: endedRecords)
    for word in [epoch, index, chain, UInt64(bitPattern: serviceMs), firstRecord] { bytes.append(little: word) }
    bytes += body
    let checksum = Self.checksum(bytes)
    bytes.withUnsafeMutableBytes { $0.storeBytes(of: checksum.littleEndian, toByteOffset: 4, as: UInt32.self) }
    return bytes
  }

  /// Reads the fields of a message; nil when it is no entry, or a spoiled one. The body begins at `headerBytes`. O(message).
  public init?(decoding message: [UInt8]) {
    guard message.count >= Self.headerBytes, message.little(UInt32.self, at: 0) == Self.magic,
      message.little(UInt32.self, at: 4) == Self.checksum(message), message[9] <= 1, message[10] == 0, message[11] == 0,
      let kind = Kind(rawValue: message[8])
    else { return nil }
    self.init(
      kind, epoch: message.little(UInt64.self, at: 16), index: message.little(UInt64.self, at: 24),
      chain: message.little(UInt64.self, at: 32), serviceMs: message.little(Int64.self, at: 40),
      firstRecord: message.little(UInt64.self, at: 48), endedRecords: message.little(UInt32.self, at: 12),
      goesOn: message[9] == 1)
  }

  private static func checksum(_ message: [UInt8]) -> UInt32 {
    message.withUnsafeBytes { CRC32C.checksum(UnsafeRawBufferPointer(rebasing: $0[8...])) }
  }

  /// The chain behind a valid message: what the next valid one must say. O(message).
  public static func chain(behind message: [UInt8], after chain: UInt64) -> UInt64 {
    message.withUnsafeBytes { SipHash128(key0: chain, key1: UInt64(magic)).hash(topic: 0, id: $0).low }
  }
}

extension [UInt8] {
  mutating func append<Integer: FixedWidthInteger>(little value: Integer) {
    Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
  }

  func little<Integer: FixedWidthInteger>(_ type: Integer.Type, at offset: Int) -> Integer {
    withUnsafeBytes { Integer(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: type)) }
  }
}
