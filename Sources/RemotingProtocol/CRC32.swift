// CRC-32 (IEEE 802.3, as in zlib), the checksum of a message's body in this protocol.
//
// Source: ISO 3309 (polynomial, reflected 0xEDB88320); eight tables for eight bytes a step as in Intel's "slicing-by-8".

/// CRC-32 over raw bytes.
public enum CRC32 {
  // Table t at 256 × t: what a byte does when t more bytes follow it in the same step.
  private static let tables: [UInt32] = {
    var tables: [UInt32] = (0..<256).map { index in
      (0..<8).reduce(UInt32(index)) { crc, _ in crc & 1 == 1 ? (crc >> 1) ^ 0xEDB8_8320 : crc >> 1 }
    }
    for place in 256..<2048 {
      let before = tables[place - 256]
      tables.append((before >> 8) ^ tables[Int(before & 0xFF)])
    }
    return tables
  }()

  /// The checksum of `bytes`. O(length), eight bytes a step.
  public static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    tables.withUnsafeBufferPointer { tables in
      var crc = ~UInt32(0)
      var place = 0
      while bytes.count - place >= 8 {
        let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self)) ^ UInt64(crc)
        crc = 0
        for index in 0..<8 {
          let byte = Int(truncatingIfNeeded: word >> UInt64(index * 8)) & 0xFF
          crc ^= tables[(7 - index) * 256 + byte]
        }
        place += 8
      }
      while place < bytes.count {
        crc = tables[Int((crc ^ UInt32(bytes[place])) & 0xFF)] ^ (crc >> 8)
        place += 1
      }
      return ~crc
    }
  }
}
