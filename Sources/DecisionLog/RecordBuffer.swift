// Records on their way from the loop to the log: raw memory that is filled, handed over, written and reused.
//
// Holds: the memory is exactly what goes out: `frontBytes` for a mark of the log's own, then whole frames with dense
// sequences from `firstSequence`; nothing is written while a record is open.
// Leaves to others: what stands in the front, writing, handing over between threads (each log).

import Primitives

/// A run of records with dense sequences. Used by one thread at a time.
///
/// An append costs about 20 ns besides copying the payload and its checksum; memory grows by doubling and is kept.
public final class RecordBuffer: @unchecked Sendable {
  // No exclusivity checks: one thread at a time, no reentrance, and they would cost as much as the appends themselves.
  @exclusivity(unchecked) @usableFromInline var base: UnsafeMutableRawPointer
  @exclusivity(unchecked) @usableFromInline var capacity: Int
  @exclusivity(unchecked) @usableFromInline var end: Int
  @exclusivity(unchecked) @usableFromInline var openFrame: Int = -1
  @exclusivity(unchecked) @usableFromInline var openKind: UInt8 = 0
  @exclusivity(unchecked) @usableFromInline var next: Sequence = 1

  /// The sequence of the first record, if there is one.
  public private(set) var firstSequence: Sequence = 1

  /// Bytes in front of the first record, for a mark of the log's own.
  public static let frontBytes = 40
  /// Zero bytes behind the last record.
  public static let endBytes = 8

  /// Makes an empty buffer; `DecisionLog.takeBuffer` gives used ones.
  public init(capacity: Int = 1 << 16) {
    self.capacity = max(256, capacity)
    base = .allocate(byteCount: self.capacity, alignment: 16)
    end = Self.frontBytes
  }

  deinit { base.deallocate() }

  /// The sequence that the next record will get.
  @inlinable public var nextSequence: Sequence { next }
  /// The sequence of the last record; `firstSequence - 1` when there is none.
  @inlinable public var lastSequence: Sequence { next &- 1 }
  /// The number of records.
  public var count: Int { Int(next &- firstSequence) }
  /// Whether there is no record.
  public var isEmpty: Bool { next == firstSequence }
  /// Bytes that will be written, those in front of the first record included.
  @inlinable public var byteCount: Int { end }
  /// Bytes of memory held.
  public var capacityBytes: Int { capacity }

  /// Forgets all records and starts again at `nextSequence`.
  public func reset(nextSequence: Sequence) {
    firstSequence = nextSequence
    next = nextSequence
    end = Self.frontBytes
    openFrame = -1
  }

  /// Opens a record. `kind` is not 0.
  @inlinable public func begin(_ kind: UInt8) {
    precondition(
      openFrame < 0 && kind != Frame.logKind, "one record at a time, of a kind that is not the log's own")
    reserve(Frame.headerBytes + 8)
    openFrame = end
    openKind = kind
    end += Frame.headerBytes
  }

  /// Appends an integer to the open record, little-endian.
  @inlinable public func append<Integer: FixedWidthInteger>(_ value: Integer) {
    let bytes = MemoryLayout<Integer>.size
    // 8 bytes are always kept for the padding of the frame.
    reserve(bytes + 8)
    (base + end).storeBytes(of: value.littleEndian, as: Integer.self)
    end += bytes
  }

  /// Appends bytes to the open record, without their number.
  @inlinable public func append(bytes: UnsafeRawBufferPointer) {
    guard let source = bytes.baseAddress, bytes.count > 0 else { return }
    reserve(bytes.count + 8)
    (base + end).copyMemory(from: source, byteCount: bytes.count)
    end += bytes.count
  }

  /// Closes the open record: pads it, sums it up, gives it its sequence.
  @inlinable @discardableResult public func finish() -> Sequence {
    precondition(openFrame >= 0, "a record is open")
    let payloadBytes = end - openFrame - Frame.headerBytes
    precondition(payloadBytes <= Frame.payloadBytesMax, "the payload of a record fits its frame")
    (base + end).storeBytes(of: 0, as: UInt64.self)
    let bytes = Frame.bytes(payloadBytes: payloadBytes)
    let sequence = next
    Frame.seal(base + openFrame, bytes: bytes, payloadBytes: payloadBytes, sequence: sequence, kind: openKind)
    end = openFrame + bytes
    openFrame = -1
    next = sequence &+ 1
    return sequence
  }

  /// Throws the open record away.
  public func abandon() {
    precondition(openFrame >= 0, "a record is open")
    end = openFrame
    openFrame = -1
  }

  /// Appends a whole record whose payload is written straight into the buffer.
  ///
  /// - Parameters:
  ///   - payloadCapacity: the most bytes that `fill` will write.
  ///   - fill: writes the payload from the start of what it is given, and gives its length.
  @inlinable @discardableResult
  public func append(
    kind: UInt8, payloadCapacity: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Int
  ) -> Sequence {
    begin(kind)
    reserve(payloadCapacity + 8)
    let written = fill(UnsafeMutableRawBufferPointer(start: base + end, count: payloadCapacity))
    precondition(written >= 0 && written <= payloadCapacity, "a payload stays inside its room")
    end += written
    return finish()
  }

  /// What goes out: the front (to be filled in), records, and `endBytes` of zeroes. Good until the next change.
  public func bytesToWrite() -> UnsafeMutableRawBufferPointer {
    precondition(openFrame < 0, "no record is open")
    reserve(Self.endBytes)
    (base + end).storeBytes(of: 0, as: UInt64.self)
    return UnsafeMutableRawBufferPointer(start: base, count: end + Self.endBytes)
  }

  @inlinable @inline(__always) func reserve(_ bytes: Int) {
    if capacity - end < bytes { grow(bytes) }
  }

  @usableFromInline @inline(never) func grow(_ bytes: Int) {
    capacity = max(capacity * 2, end + bytes)
    let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
    larger.copyMemory(from: base, byteCount: end)
    base.deallocate()
    base = larger
  }
}
