// Writing and reading the payload of a journal record: integers in little-endian order, and bytes.

import Primitives

/// Writes a payload from its start to its end.
struct PayloadWriter {
  private var position: UnsafeMutableRawPointer
  private let end: UnsafeMutableRawPointer

  /// Fills `payload`.
  @inline(__always) init(_ payload: UnsafeMutableRawBufferPointer) {
    position = payload.baseAddress!
    end = position + payload.count
  }

  /// Whether every byte has been written.
  @inline(__always) var isFull: Bool { position == end }

  @inline(__always) mutating func write<T: FixedWidthInteger>(_ value: T) {
    precondition(end - position >= MemoryLayout<T>.size, "a decision has more bytes than it says")
    position.storeBytes(of: value.littleEndian, as: T.self)
    position += MemoryLayout<T>.size
  }

  @inline(__always) mutating func write(_ bytes: UnsafeRawBufferPointer) {
    precondition(end - position >= bytes.count, "a decision has more bytes than it says")
    if let source = bytes.baseAddress { position.copyMemory(from: source, byteCount: bytes.count) }
    position += bytes.count
  }

  @inline(__always) mutating func write(_ message: DecidedMessage) {
    let length = message.length
    precondition(end - position >= length, "a decision has more bytes than it says")
    message.write(to: position)
    position += length
  }
}

/// Reads a payload from its start. A short payload is damage that passed its checksum, so it stops the server.
struct PayloadReader {
  private(set) var rest: UnsafeRawBufferPointer

  @inline(__always) init(_ payload: UnsafeRawBufferPointer) { rest = payload }

  @inline(__always) mutating func read<T: FixedWidthInteger>(_ type: T.Type) -> T {
    let size = MemoryLayout<T>.size
    precondition(rest.count >= size, "a journal record is shorter than its kind says")
    defer { rest = UnsafeRawBufferPointer(rebasing: rest[size...]) }
    return T(littleEndian: rest.loadUnaligned(as: T.self))
  }

  /// A view of the next `count` bytes.
  @inline(__always) mutating func read(bytes count: Int) -> UnsafeRawBufferPointer {
    precondition(rest.count >= count, "a journal record is shorter than its kind says")
    defer { rest = UnsafeRawBufferPointer(rebasing: rest[count...]) }
    return UnsafeRawBufferPointer(rebasing: rest[..<count])
  }

  /// A view of the message record that comes next.
  @inline(__always) mutating func readMessage() -> DecidedMessage { .record(readMessageRecord()) }

  @inline(__always) mutating func readMessageRecord() -> MessageRecord {
    precondition(rest.count >= MessageRecord.headerLength, "a journal record is shorter than its kind says")
    let record = MessageRecord(rest.baseAddress!)
    skip(record.length)
    return record
  }

  @inline(__always) mutating func skip(_ count: Int) {
    precondition(rest.count >= count, "a journal record is shorter than its kind says")
    rest = UnsafeRawBufferPointer(rebasing: rest[count...])
  }

  var isEmpty: Bool { rest.isEmpty }
}
