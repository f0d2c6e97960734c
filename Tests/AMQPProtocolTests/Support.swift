// What the tests of this module share: bytes in and out, memory that ends where the bytes do, random values.

import Foundation
import Primitives
import SeededRandom
import Testing

@testable import AMQPProtocol

func bytes(hex: some StringProtocol) -> [UInt8] {
  let digits = hex.utf8.filter { $0 != UInt8(ascii: " ") }.map { UInt8(Character(UnicodeScalar($0)).hexDigitValue!) }
  return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

/// What `write` appends to a buffer.
func written(_ write: (inout ByteBuffer) -> Void) -> [UInt8] {
  var buffer = ByteBuffer()
  write(&buffer)
  return Array(buffer.readable)
}

extension UnsafeRawBufferPointer {
  var text: String { String(decoding: self, as: UTF8.self) }
}

/// Memory that lives as long as the test program: arguments of methods that are written.
func lasting(_ text: String) -> UnsafeRawBufferPointer { lasting(Array(text.utf8)) }

func lasting(_ bytes: [UInt8]) -> UnsafeRawBufferPointer {
  let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
  memory.copyBytes(from: bytes)
  return UnsafeRawBufferPointer(memory)
}

/// Memory before a page that must not be touched: reading one byte too far ends the program. It lives as long as that.
struct GuardedMemory {
  private let base: UnsafeMutableRawPointer
  private let size = 1 << 16

  init() {
    base = mmap(nil, size + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)!
    precondition(base != MAP_FAILED && mprotect(base + size, 4096, PROT_NONE) == 0, "memory can be mapped")
  }

  /// A copy of up to 64 KiB that ends at the forbidden page; good until the next one.
  func copy(_ bytes: some Collection<UInt8>) -> UnsafeRawBufferPointer {
    let place = UnsafeMutableRawBufferPointer(start: base + size - bytes.count, count: bytes.count)
    place.copyBytes(from: bytes)
    return UnsafeRawBufferPointer(place)
  }
}

/// A reader that is past the protocol header and has received `bytes`.
func openReader(_ bytes: [UInt8] = [], maxFrameBytes: Int = 4096) throws -> FrameReader {
  var reader = FrameReader(maxFrameBytes: maxFrameBytes)
  bytesOfHeader.withBytes { reader.append($0) }
  guard case .opened = try reader.next() else { throw TestFailure.unexpected }
  bytes.withBytes { reader.append($0) }
  return reader
}

let bytesOfHeader = bytes(hex: "414d5150 00000901")

enum TestFailure: Error { case unexpected }

/// The payload of the only frame in `bytes`.
func payload(_ bytes: [UInt8]) -> [UInt8] { Array(bytes[7..<(bytes.count - 1)]) }

/// What `body` throws.
func fault(_ body: () throws(AMQPFault) -> Void) -> AMQPFault? {
  do throws(AMQPFault) {
    try body()
    return nil
  } catch {
    return error
  }
}

extension SplitMix64 {
  mutating func below(_ bound: Int) -> Int { Int(next(below: UInt64(bound))) }
  mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) } }
  /// Text of up to `count` characters of one, two or three bytes.
  mutating func text(_ count: Int) -> [UInt8] {
    Array((0..<below(count + 1)).map { _ in ["a", "Z", ".", "#", "é", "→"][below(6)] }.joined().utf8)
  }

  /// A value of every type, nested up to `depth` levels.
  mutating func value(depth: Int = 3) -> FieldValue {
    switch below(depth > 0 ? 17 : 15) {
    case 0: .void
    case 1: .boolean(next() & 1 == 1)
    case 2: .int8(Int8(truncatingIfNeeded: next()))
    case 3: .uint8(UInt8(truncatingIfNeeded: next()))
    case 4: .int16(Int16(truncatingIfNeeded: next()))
    case 5: .uint16(UInt16(truncatingIfNeeded: next()))
    case 6: .int32(Int32(truncatingIfNeeded: next()))
    case 7: .uint32(UInt32(truncatingIfNeeded: next()))
    case 8: .int64(Int64(truncatingIfNeeded: next()))
    case 9: .float(Float(below(1000)) / 8)
    case 10: .double(Double(below(1_000_000)) / 64)
    case 11: .decimal(scale: UInt8(below(20)), unscaled: Int32(truncatingIfNeeded: next()))
    case 12: .timestamp(next())
    case 13: .string(text(20))
    case 14: .bytes(bytes(below(20)))
    case 15: .array((0..<below(5)).map { _ in value(depth: depth - 1) })
    default: .table(entries(depth: depth - 1))
    }
  }

  mutating func entries(depth: Int = 3) -> [FieldEntry] {
    (0..<below(6)).map { _ in FieldEntry(String(decoding: text(10), as: UTF8.self), value(depth: depth)) }
  }

  /// The fields of a method by its specified layout; reserved ones are empty.
  mutating func fields(_ layout: String) -> [UInt8] {
    var out: [UInt8] = []
    var bits = 0
    var isReserved = false
    for letter in layout {
      if letter == "!" {
        isReserved = true
        continue
      }
      if letter == "b" {
        if bits % 8 == 0 { out.append(0) }
        if !isReserved { out[out.count - 1] |= UInt8(below(2)) << (bits % 8) }
        bits += 1
      } else {
        bits = 0
        out += isReserved ? Self.emptyField(letter) : field(letter)
      }
      isReserved = false
    }
    return out
  }

  private static func emptyField(_ letter: Character) -> [UInt8] {
    [UInt8](repeating: 0, count: letter == "h" ? 2 : letter == "S" ? 4 : 1)
  }

  private mutating func field(_ letter: Character) -> [UInt8] {
    switch letter {
    case "o": return bytes(1)
    case "h": return bytes(2)
    case "i": return bytes(4)
    case "q": return bytes(8)
    case "s":
      let text = text(80)
      return [UInt8(text.count)] + text
    case "S": return Self.long(bytes(below(300)))
    default:
      let entries = entries()
      return Self.long(written { $0.append(fields: entries) })
    }
  }

  private static func long(_ bytes: [UInt8]) -> [UInt8] {
    withUnsafeBytes(of: UInt32(bytes.count).bigEndian) { Array($0) } + bytes
  }
}

/// The seeds of a test; `ESCAPEMENT_SEED` picks one.
func seeds(_ count: Int) -> [UInt64] {
  ProcessInfo.processInfo.environment["ESCAPEMENT_SEED"].flatMap(UInt64.init).map { [$0] }
    ?? (1...UInt64(count)).map { $0 }
}

func replay(_ seed: UInt64, _ test: String) -> Comment {
  "run again with: ESCAPEMENT_SEED=\(seed) swift test --filter AMQPProtocolTests.\(test)"
}
