// SipHash-2-4 with 128 bits of output: names a message by (topic, id) without keeping the id in memory.
//
// Holds: keyed by 16 random bytes of the log, so nobody outside can make two ids meet; of the 128 bits the index of pending
// messages keeps 108, so two of a hundred million ids meet by chance once in 10^17 logs. That is why no full id is ever compared on
// disk.
// Source: Aumasson & Bernstein, SipHash, 2012, and the reference's 128-bit variant.

/// A 128-bit keyed hash.
public struct IDHash: Hashable, Sendable, BitwiseCopyable {
  /// The two halves.
  public var low: UInt64, high: UInt64

  /// Puts two halves together.
  @inlinable public init(low: UInt64, high: UInt64) {
    self.low = low
    self.high = high
  }
}

/// The hash function with its key.
public struct SipHash128: Sendable {
  @usableFromInline let key0: UInt64, key1: UInt64

  /// Takes the 128-bit key.
  public init(key0: UInt64, key1: UInt64) {
    self.key0 = key0
    self.key1 = key1
  }

  @usableFromInline struct State {
    @usableFromInline var v0: UInt64, v1: UInt64, v2: UInt64, v3: UInt64

    @inlinable init(_ key0: UInt64, _ key1: UInt64) {
      v0 = key0 ^ 0x736f_6d65_7073_6575
      v1 = key1 ^ 0x646f_7261_6e64_6f6d ^ 0xee
      v2 = key0 ^ 0x6c79_6765_6e65_7261
      v3 = key1 ^ 0x7465_6462_7974_6573
    }

    @inlinable mutating func round() {
      v0 &+= v1
      v1 = (v1 &<< 13 | v1 &>> 51) ^ v0
      v0 = v0 &<< 32 | v0 &>> 32
      v2 &+= v3
      v3 = (v3 &<< 16 | v3 &>> 48) ^ v2
      v0 &+= v3
      v3 = (v3 &<< 21 | v3 &>> 43) ^ v0
      v2 &+= v1
      v1 = (v1 &<< 17 | v1 &>> 47) ^ v2
      v2 = v2 &<< 32 | v2 &>> 32
    }

    @inlinable mutating func absorb(_ word: UInt64) {
      v3 ^= word
      round()
      round()
      v0 ^= word
    }
  }

  /// The hash of the topic's number (8 bytes, little-endian) followed by the id. About 30 ns for a short id.
  @inlinable public func hash(topic: UInt32, id: UnsafeRawBufferPointer) -> IDHash {
    var state = State(key0, key1)
    state.absorb(UInt64(topic))
    var place = 0
    while place + 8 <= id.count {
      state.absorb(UInt64(littleEndian: id.loadUnaligned(fromByteOffset: place, as: UInt64.self)))
      place += 8
    }
    var last = UInt64(truncatingIfNeeded: id.count + 8) &<< 56
    var shift: UInt64 = 0
    while place < id.count {
      last |= UInt64(id[place]) &<< shift
      shift += 8
      place += 1
    }
    state.absorb(last)
    state.v2 ^= 0xee
    for _ in 0..<4 { state.round() }
    let low = state.v0 ^ state.v1 ^ state.v2 ^ state.v3
    state.v1 ^= 0xdd
    for _ in 0..<4 { state.round() }
    return IDHash(low: low, high: state.v0 ^ state.v1 ^ state.v2 ^ state.v3)
  }
}
