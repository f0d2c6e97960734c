// Bytes of arrays and strings, lent to calls that take raw memory.
//
// Holds: what a body throws is thrown on with its type, which `withUnsafeBytes` of the standard library loses.

extension [UInt8] {
  /// Lends the bytes to `body`, for as long as it runs.
  @inlinable
  public func withBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try withUnsafeBufferPointer { bytes throws(Failure) in try body(UnsafeRawBufferPointer(bytes)) }
  }
}

extension String {
  /// Lends a copy of the text in UTF-8 to `body`, for as long as it runs. O(length).
  @inlinable
  public func withBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try Array(utf8).withBytes(body)
  }
}
