// A queue of bytes over raw memory: what a connection has received and not yet parsed, or has to send and not yet sent.
//
// Holds: 0 <= head <= tail <= capacity; the bytes in [head, tail) are the content, in order. The content moves only when
// room is made (`reserve`, any `append`, `withWritable`); `consume` never moves it.
// Leaves to others: bounds on its size (the framer, the connection's limits).

import Glibc

/// A growable buffer with a read head and a write tail.
public struct ByteBuffer: ~Copyable {
  @usableFromInline var base: UnsafeMutableRawPointer
  @usableFromInline var capacity: Int
  @usableFromInline var head = 0
  @usableFromInline var tail = 0

  /// Makes an empty buffer with room for `capacity` bytes.
  public init(capacity: Int = 0) {
    self.capacity = Swift.max(capacity, 0)
    base = UnsafeMutableRawPointer.allocate(byteCount: Swift.max(capacity, 1), alignment: 16)
  }

  deinit { base.deallocate() }

  /// How many bytes are in it.
  @inlinable public var count: Int { tail - head }

  /// Whether it is empty.
  @inlinable public var isEmpty: Bool { tail == head }

  /// How many bytes of memory it holds.
  @inlinable public var allocatedBytes: Int { capacity }

  /// The content; good until room is made the next time.
  @inlinable public var readable: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: base + head, count: tail - head)
  }

  /// Takes `count` bytes from the front.
  ///
  /// - Precondition: so many are there.
  @inlinable public mutating func consume(_ count: Int) {
    precondition(count >= 0 && count <= tail - head, "only bytes that are there can be consumed")
    head += count
    if head == tail {
      head = 0
      tail = 0
    }
  }

  /// Makes sure that `count` more bytes fit without another allocation. Amortised O(1) a byte.
  @inlinable public mutating func reserve(_ count: Int) {
    if capacity - tail < count { makeRoom(count) }
  }

  // Moves the content to the front when that frees at least half of the memory, so each byte moves O(1) times; grows
  // to at least twice the content otherwise.
  @inline(never) @usableFromInline mutating func makeRoom(_ count: Int) {
    let content = tail - head
    if head >= capacity / 2, capacity - content >= count {
      memmove(base, base + head, content)
    } else {
      capacity = Swift.max(content + count, content * 2, 256)
      let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
      memcpy(larger, base + head, content)
      base.deallocate()
      base = larger
    }
    head = 0
    tail = content
  }

  /// Gives memory back when the buffer is empty and holds more than `keepingBytes`; for after a flush.
  @inlinable public mutating func shrink(keepingBytes: Int = 65_536) {
    if capacity > keepingBytes, isEmpty { release() }
  }

  @inline(never) @usableFromInline mutating func release() {
    base.deallocate()
    base = UnsafeMutableRawPointer.allocate(byteCount: 1, alignment: 16)
    capacity = 0
    head = 0
    tail = 0
  }

  /// Drops the content and keeps the memory.
  @inlinable public mutating func removeAll() {
    head = 0
    tail = 0
  }

  /// Cuts the content to its first `count` bytes, to undo output that was begun and cannot be finished.
  ///
  /// - Precondition: so many are there.
  @inlinable public mutating func truncate(to count: Int) {
    precondition(count >= 0 && count <= tail - head, "a buffer is only cut back to bytes that are there")
    tail = head + count
  }

  /// Room for at least `minimum` bytes behind the content, for `read(2)`; what was written is made content by `commit`.
  ///
  /// - Parameter minimum: at least 1. All the room there is is given, which may be more.
  @inlinable public mutating func writable(_ minimum: Int) -> UnsafeMutableRawBufferPointer {
    reserve(minimum)
    return UnsafeMutableRawBufferPointer(start: base + tail, count: capacity - tail)
  }

  /// Makes the first `count` bytes of the room content.
  @inlinable public mutating func commit(_ count: Int) {
    precondition(count >= 0 && count <= capacity - tail, "only bytes that fit into the room can be committed")
    tail += count
  }

  /// Appends bytes.
  @inlinable public mutating func append(_ bytes: UnsafeRawBufferPointer) {
    guard let start = bytes.baseAddress, bytes.count > 0 else { return }
    reserve(bytes.count)
    memcpy(base + tail, start, bytes.count)
    tail += bytes.count
  }

  /// Appends text known at compile time.
  @inlinable public mutating func append(_ text: StaticString) {
    let count = text.utf8CodeUnitCount
    reserve(count)
    memcpy(base + tail, text.utf8Start, count)
    tail += count
  }

  /// Appends a string's UTF-8.
  public mutating func append(text: String) {
    var text = text
    reserve(text.utf8.count)
    tail += text.withUTF8 { bytes in
      if let start = bytes.baseAddress { memcpy(base + tail, start, bytes.count) }
      return bytes.count
    }
  }

  /// Appends one byte.
  @inlinable public mutating func append(byte: UInt8) {
    reserve(1)
    base.storeBytes(of: byte, toByteOffset: tail, as: UInt8.self)
    tail += 1
  }
}
