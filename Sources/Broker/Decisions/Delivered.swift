// A group was given the messages at its cursor for the first time. Those of the range that are not listed were passed over.
//
//    0  u32   group
//    4  u64   cursor before
//   12  u64   cursor after
//   20  u32   n; 0xFFFFFFFF: every message of the range was delivered, and none has an ordering key
//   24  list  n times: u32 distance of the offset from the cursor before, its top bit set when the message is parked behind
//             another one of its key; u64 hash of the ordering key, 0 for none

import Primitives

/// The decision to deliver new messages to a group.
struct Delivered: Decision {
  /// One message.
  struct Entry: PayloadElement {
    let distance: UInt32
    let keyHash: UInt64
    let isParked: Bool

    static let byteCount = 12
    static let parkedBit: UInt32 = 1 << 31
    /// One record spans no more offsets than this.
    static let distanceMax: UInt64 = 1 << 30

    init(distance: UInt64, keyHash: UInt64, isParked: Bool) {
      self.distance = UInt32(distance)
      self.keyHash = keyHash
      self.isParked = isParked
    }

    func encode(to payload: inout PayloadWriter) {
      payload.write(distance | (isParked ? Self.parkedBit : 0))
      payload.write(keyHash)
    }

    init(decoding reader: inout PayloadReader) {
      let marked = reader.read(UInt32.self)
      distance = marked & ~Self.parkedBit
      isParked = marked & Self.parkedBit != 0
      keyHash = reader.read(UInt64.self)
    }
  }

  static let kind = DecisionKind.delivered
  private static let all = UInt32.max
  let group: UInt32
  let offsets: Range<TopicOffset>
  /// nil: all of the range, without keys.
  let entries: DecidedList<Entry>?

  var byteCount: Int { 24 + (entries?.byteCount ?? 0) }

  func encode(to payload: inout PayloadWriter) {
    payload.write(group)
    payload.write(offsets.lowerBound)
    payload.write(offsets.upperBound)
    payload.write(entries.map { UInt32($0.count) } ?? Self.all)
    entries?.encode(to: &payload)
  }
}

extension Delivered {
  init(decoding payload: UnsafeRawBufferPointer) {
    var reader = PayloadReader(payload)
    group = reader.read(UInt32.self)
    let from = reader.read(UInt64.self)
    offsets = from..<reader.read(UInt64.self)
    let count = reader.read(UInt32.self)
    entries = count == Self.all ? nil : DecidedList(decoding: &reader, count: Int(count))
  }
}
