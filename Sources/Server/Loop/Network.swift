// The network as the loop sees it: the seam that tests replace with one of their own.
//
// Holds: calls never block but for `wait`; a descriptor belongs to the loop until it closes it.
// Leaves to others: which connections there are and what is sent (the loop), the system calls (LinuxNetwork).

import Platform

/// Something that `wait` has found.
package enum NetworkEvent {
  /// A listener or connection is ready; the generation is the one it was watched with.
  case ready(ReadyEvent)
  /// The server is asked to stop.
  case stop
  /// The server is asked to read again what may change while it runs.
  case reload
}

/// Listeners, connections and waiting. One thread's own.
package protocol Network: AnyObject {
  /// Listens, without watching yet.
  ///
  /// - Parameter port: 0 lets the system choose.
  func listen(host: String, port: UInt16) throws(SystemError) -> (descriptor: Int32, port: UInt16)
  /// Takes the next connection that waits at a listener.
  func accept(_ listener: Int32) -> AcceptResult
  /// Where the other end of a connection is.
  func peer(_ descriptor: Int32) -> PeerAddress
  /// Reads what is there, up to the size of the buffer.
  func read(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) -> TransferResult
  /// Writes as much as there is room for.
  func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> TransferResult
  /// Says that no more will be written; the other side reads the end.
  func finishWriting(_ descriptor: Int32)
  /// Closes a descriptor and watches it no more.
  func close(_ descriptor: Int32)

  /// Watches a descriptor.
  func watch(_ descriptor: Int32, generation: UInt32, _ interest: Readiness) throws(SystemError)
  /// Changes what a descriptor is watched for.
  func setInterest(_ descriptor: Int32, generation: UInt32, _ interest: Readiness) throws(SystemError)
  /// Watches a descriptor no more.
  func unwatch(_ descriptor: Int32) throws(SystemError)

  /// Waits until something is ready, another thread has finished work for the loop, or the clock was set. Work that is
  /// finished after `wait` has returned ends the next one.
  ///
  /// - Parameter timeoutNs: how long at most; negative: no limit; 0: only look.
  /// - Returns: how many events there are, to be read with `event` before the next `wait`; 0 also when it was woken by work
  ///   or by the clock.
  func wait(timeoutNs: Int64) throws(SystemError) -> Int
  /// An event of the last `wait`.
  func event(_ place: Int) -> NetworkEvent
}

/// Readings of the clocks that service time follows.
package protocol MachineClock {
  /// Nanoseconds since boot, counting suspended time; never set by anyone.
  func bootNs() -> Int64
  /// The wall clock, Unix ns.
  func wallNs() -> Int64
}
