// Numbers in network byte order, and lengths that are known only after what they count has been written.

extension ByteBuffer {
  /// Appends an integer, the most significant byte first.
  @inlinable public mutating func append<Number: FixedWidthInteger>(bigEndian value: Number) {
    reserve(MemoryLayout<Number>.size)
    (base + tail).storeBytes(of: value.bigEndian, as: Number.self)
    tail += MemoryLayout<Number>.size
  }

  /// Overwrites part of the content with an integer, the most significant byte first.
  ///
  /// - Parameter offset: counted from the first byte of the content.
  /// - Precondition: as many bytes as the integer has stand at `offset`.
  @inlinable public mutating func set<Number: FixedWidthInteger>(bigEndian value: Number, at offset: Int) {
    precondition(
      offset >= 0 && offset <= tail - head - MemoryLayout<Number>.size, "only bytes that are there can be overwritten")
    (base + head + offset).storeBytes(of: value.bigEndian, as: Number.self)
  }
}
