// A checkpoint's folder as a run of bytes, for a node that needs the folder of another one.
//
// The bytes are blocks, one behind the other, little-endian:
//
//   u32  bytes of the payload, at most 1 MiB
//   u32  CRC-32C over kind and payload
//   u8   kind
//   …    payload
//
// Payloads, by kind:
//   1 archive  "ESCAFLDR", u32 version (1); the first block, and only that
//   2 file     u64 size, then its path
//   3 data     the next bytes of the file that was named last
//   4 end      u64 how many files there were; the last block
//
// Holds: the checkpoint is the last file. What a folder has without it does not count, so a copy that has not come to its end
// leaves an empty folder.
// Leaves to others: carrying the bytes, and the folders themselves (the owner).

import Primitives

enum FolderArchive {
  enum Kind: UInt8 { case archive = 1, file, data, end }

  static let magic: [UInt8] = Array("ESCAFLDR".utf8)
  static let version: UInt32 = 1
  static let headerBytes = 9
  static let payloadBytesMax = 1 << 20
  static let pathBytesMax = 255

  /// A block with this payload. O(payload).
  static func block(_ kind: Kind, _ payload: [UInt8]) -> [UInt8] {
    precondition(payload.count <= payloadBytesMax, "a block is bounded")
    let counted = [kind.rawValue] + payload
    var bytes: [UInt8] = []
    bytes.reserveCapacity(headerBytes + payload.count)
    bytes.append(little: UInt32(payload.count))
    bytes.append(little: counted.withUnsafeBytes { CRC32C.checksum($0) })
    return bytes + counted
  }

  /// Whether a path may be written: a checkpoint, or a data file two or three names deep; nothing leads out of the folder.
  static func isGood(path: String) -> Bool {
    guard path.utf8.count <= pathBytesMax else { return false }
    let names = path.split(separator: "/", omittingEmptySubsequences: false)
    guard let folder = names.first, names.allSatisfy(isGood(name:)) else { return false }
    switch names.count {
    case 2: return folder == "delay" || folder == "settled"
    case 3: return folder == "topics"
    default: return false
    }
  }

  private static func isGood(name: Substring) -> Bool {
    guard let first = name.utf8.first, first != UInt8(ascii: ".") else { return false }
    return name.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
      case UInt8(ascii: "0")...UInt8(ascii: "9"): true
      default: byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
      }
    }
  }
}
