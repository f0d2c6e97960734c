// From the bytes of a name to a small integer: the lookup behind field names and operation names.
//
// Holds: names are distinct and 1 to 32 bytes long; the table is at most a quarter full, so a lookup is one or two probes.
// A name is recognised by its length and up to four overlapping 8-byte words, which cover 32 bytes: no byte loop.

/// A fixed set of names, numbered in the order in which they were given.
public struct NameTable: Sendable {
  @usableFromInline struct Slot: Sendable {
    var first: UInt64 = 0
    var last: UInt64 = 0
    var second: UInt64 = 0
    var third: UInt64 = 0
    // 0 marks a free slot.
    var length: Int32 = 0
    var index: Int32 = 0
  }

  private let slots: [Slot]
  private let mask: Int
  private let shift: UInt64
  /// The longest name that the table can hold, in bytes.
  public static let nameBytesMax = 32

  /// Builds the table; the number of a name is its place in `names`.
  public init(_ names: [String]) {
    var bits = 4
    while 1 << bits < names.count * 4 { bits += 1 }
    let mask = (1 << bits) - 1
    let shift = UInt64(64 - bits)
    var slots = [Slot](repeating: Slot(), count: mask + 1)
    for (index, name) in names.enumerated() {
      let bytes = Array(name.utf8)
      precondition(1...Self.nameBytesMax ~= bytes.count, "a name in a table is 1 to 32 bytes long")
      bytes.withUnsafeBytes { raw in
        let base = raw.baseAddress!
        let (first, last) = Self.ends(of: base, count: raw.count)
        var place = Self.place(first, last, raw.count, shift)
        while slots[place].length != 0 {
          precondition(names[Int(slots[place].index)] != name, "names in a table are distinct")
          place = (place + 1) & mask
        }
        let (second, third) = Self.middle(of: base, count: raw.count)
        slots[place] = Slot(
          first: first, last: last, second: second, third: third, length: Int32(raw.count), index: Int32(index))
      }
    }
    (self.slots, self.mask, self.shift) = (slots, mask, shift)
  }

  /// The number of the name with these bytes. O(1).
  public func index(of bytes: UnsafeRawBufferPointer) -> Int? {
    guard let base = bytes.baseAddress, 1...Self.nameBytesMax ~= bytes.count else { return nil }
    let index = index(of: base, count: bytes.count)
    return index < 0 ? nil : index
  }

  /// The same for 1 to any number of bytes at `base`; -1 when there is no such name.
  @inline(__always) func index(of base: UnsafeRawPointer, count: Int) -> Int {
    guard count <= Self.nameBytesMax else { return -1 }
    let (first, last) = Self.ends(of: base, count: count)
    var place = Self.place(first, last, count, shift)
    return slots.withUnsafeBufferPointer { slots in
      while true {
        let slot = slots[place]
        if slot.length == 0 { return -1 }
        if slot.first == first, slot.last == last, Int(slot.length) == count {
          if count <= 16 || (slot.second, slot.third) == Self.middle(of: base, count: count) { return Int(slot.index) }
        }
        place = (place + 1) & mask
      }
    }
  }

  // The first and the last eight bytes; shorter names are packed so that (words, length) still says every byte.
  @inline(__always) private static func ends(of base: UnsafeRawPointer, count: Int) -> (UInt64, UInt64) {
    if count >= 8 {
      return (
        base.loadUnaligned(as: UInt64.self), base.loadUnaligned(fromByteOffset: count - 8, as: UInt64.self)
      )
    }
    if count >= 4 {
      let low = UInt64(base.loadUnaligned(as: UInt32.self))
      return (low | UInt64(base.loadUnaligned(fromByteOffset: count - 4, as: UInt32.self)) << 32, 0)
    }
    guard count > 0 else { return (0, 0) }
    let middle = UInt64(base.load(fromByteOffset: count / 2, as: UInt8.self)) << 8
    let last = UInt64(base.load(fromByteOffset: count - 1, as: UInt8.self)) << 16
    return (UInt64(base.load(as: UInt8.self)) | middle | last, 0)
  }

  // What `ends` leaves out of names longer than 16 bytes.
  @inline(__always) private static func middle(of base: UnsafeRawPointer, count: Int) -> (UInt64, UInt64) {
    guard count > 16 else { return (0, 0) }
    return (
      base.loadUnaligned(fromByteOffset: 8, as: UInt64.self),
      base.loadUnaligned(fromByteOffset: count - 16, as: UInt64.self)
    )
  }

  // Multiplicative hashing; the names are ours, so nobody outside can choose colliding ones.
  @inline(__always) private static func place(_ first: UInt64, _ last: UInt64, _ count: Int, _ shift: UInt64) -> Int {
    let mixed = first &* 0x9E37_79B9_7F4A_7C15 ^ last &* 0xC2B2_AE3D_27D4_EB4F &+ UInt64(count) &* 0xD6E8_FEB8_6659_FD93
    return Int(truncatingIfNeeded: mixed >> shift)
  }
}
