// What carries the bytes of a client: the seam that tests replace with one of their own.
//
// Leaves to others: what the bytes mean, TLS (Link).

import Platform

/// One connection at a time. Nothing here waits.
public protocol NATSTransport: AnyObject {
  /// Begins to connect. Until the connection stands, reading and writing give `.wouldBlock`; when it fails, they say so.
  func open(_ address: ServerAddress) throws(SystemError)
  /// Reads what is there, up to the size of the buffer.
  func read(into buffer: UnsafeMutableRawBufferPointer) -> TransferResult
  /// Writes as much as there is room for. After `.wouldBlock` the owner of the client is woken when there is some.
  func write(_ bytes: UnsafeRawBufferPointer) -> TransferResult
  /// Ends the connection; nothing when there is none.
  func close()
}
