// SHA-256: secrets are kept as their hashes.
//
// Holds: what `update` has taken so far, in whichever pieces, gives the hash of their concatenation.
// Leaves to others: which bytes are hashed; lengths beyond 2^61 bytes, which no caller has.
// Source: FIPS 180-4, sections 4.1.2, 4.2.2, 5.1.1, 5.3.3 and 6.2.

/// A SHA-256 computation under way.
public struct SHA256: Sendable {
  /// The length of a hash in bytes.
  public static let byteCount = 32
  private static let blockBytes = 64

  private var state: [UInt32] = [
    0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
  ]
  // The bytes of the block that is not complete yet.
  private var block: [UInt8] = []
  private var messageBytes: UInt64 = 0

  /// Starts with no bytes.
  public init() { block.reserveCapacity(Self.blockBytes) }

  /// Takes more bytes. O(their number).
  public mutating func update(_ bytes: UnsafeRawBufferPointer) {
    messageBytes &+= UInt64(bytes.count)
    for byte in bytes { take(byte) }
  }

  /// The hash of all bytes taken: 32 bytes. The computation itself can go on.
  public func digest() -> [UInt8] {
    var last = self
    last.take(0x80)
    while last.block.count != 56 { last.take(0) }
    let messageBits = messageBytes &* 8
    for shift in stride(from: UInt64(56), through: 0, by: -8) {
      last.take(UInt8(truncatingIfNeeded: messageBits >> shift))
    }
    return last.state.flatMap { word in
      [24, 16, 8, 0].map { (shift: UInt32) in UInt8(truncatingIfNeeded: word >> shift) }
    }
  }

  /// The hash of some bytes: 32 bytes.
  public static func hash(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
    var hash = SHA256()
    hash.update(bytes)
    return hash.digest()
  }

  private mutating func take(_ byte: UInt8) {
    block.append(byte)
    guard block.count == Self.blockBytes else { return }
    compress()
    block.removeAll(keepingCapacity: true)
  }

  private mutating func compress() {
    withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 64) { schedule in
      for place in 0..<16 {
        let bytes = block[(place * 4)..<(place * 4 + 4)]
        schedule[place] = bytes.reduce(0) { $0 << 8 | UInt32($1) }
      }
      for place in 16..<64 {
        let early = schedule[place - 15]
        let late = schedule[place - 2]
        let sigma0 = Self.rotated(early, 7) ^ Self.rotated(early, 18) ^ (early >> 3)
        let sigma1 = Self.rotated(late, 17) ^ Self.rotated(late, 19) ^ (late >> 10)
        schedule[place] = schedule[place - 16] &+ sigma0 &+ schedule[place - 7] &+ sigma1
      }
      mix(schedule)
    }
  }

  // The 64 rounds; a to h are the standard's names of the working variables.
  private mutating func mix(_ schedule: UnsafeMutableBufferPointer<UInt32>) {
    var (a, b, c, d) = (state[0], state[1], state[2], state[3])
    var (e, f, g, h) = (state[4], state[5], state[6], state[7])
    for round in 0..<64 {
      let sum1 = Self.rotated(e, 6) ^ Self.rotated(e, 11) ^ Self.rotated(e, 25)
      let choice = (e & f) ^ (~e & g)
      let first = h &+ sum1 &+ choice &+ Self.constants[round] &+ schedule[round]
      let sum0 = Self.rotated(a, 2) ^ Self.rotated(a, 13) ^ Self.rotated(a, 22)
      let majority = (a & b) ^ (a & c) ^ (b & c)
      (h, g, f, e) = (g, f, e, d &+ first)
      (d, c, b, a) = (c, b, a, first &+ sum0 &+ majority)
    }
    let mixed = [a, b, c, d, e, f, g, h]
    for place in 0..<8 { state[place] &+= mixed[place] }
  }

  @inline(__always) private static func rotated(_ word: UInt32, _ bits: UInt32) -> UInt32 {
    word &>> bits | word &<< (32 - bits)
  }

  private static let constants: [UInt32] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
  ]
}
