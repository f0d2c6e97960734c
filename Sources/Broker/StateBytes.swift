// Writing and reading the integers and strings of a checkpoint.

/// Collects bytes.
struct StateWriter {
  var bytes: [UInt8] = []

  mutating func write<T: FixedWidthInteger>(_ value: T) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }
  mutating func write(_ raw: UnsafeRawBufferPointer) {
    write(UInt32(raw.count))
    bytes.append(contentsOf: raw)
  }
  mutating func write(_ text: String) {
    write(UInt32(text.utf8.count))
    bytes.append(contentsOf: text.utf8)
  }
}

/// Takes bytes off the front; a state that is too short reads as nil.
struct StateReader {
  private var rest: ArraySlice<UInt8>

  init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

  var isAtEnd: Bool { rest.isEmpty }

  mutating func read<T: FixedWidthInteger>(_ type: T.Type) throws(CheckpointFault) -> T {
    let size = MemoryLayout<T>.size
    guard rest.count >= size else { throw CheckpointFault.short }
    defer { rest = rest.dropFirst(size) }
    return rest.withUnsafeBytes { T(littleEndian: $0.loadUnaligned(as: T.self)) }
  }

  mutating func readText() throws(CheckpointFault) -> String {
    let count = Int(try read(UInt32.self))
    guard rest.count >= count else { throw CheckpointFault.short }
    defer { rest = rest.dropFirst(count) }
    return String(decoding: rest.prefix(count), as: UTF8.self)
  }

  mutating func readBytes() throws(CheckpointFault) -> [UInt8] {
    let count = Int(try read(UInt32.self))
    guard rest.count >= count else { throw CheckpointFault.short }
    defer { rest = rest.dropFirst(count) }
    return Array(rest.prefix(count))
  }
}

/// Why bytes are not a checkpoint's state.
enum CheckpointFault: Error { case short }
