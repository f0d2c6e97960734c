// Waiting for many descriptors at once.
//
// Holds: an event carries the generation given with its descriptor, so that an event of an old connection is told from one
// of a new connection that got the same number.
// Leaves to others: what the descriptors are, closing them, counting generations.

import CLinux
import Glibc

/// What to be told about a descriptor, and what has happened to it.
public struct Readiness: OptionSet, Sendable {
  /// The bits of epoll.
  public let rawValue: UInt32

  /// Wraps bits of epoll.
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// There are bytes to read, or a connection to accept.
  public static let readable = Readiness(rawValue: 0x001)
  /// There is room to write.
  public static let writable = Readiness(rawValue: 0x004)
  /// An error waits; always told.
  public static let error = Readiness(rawValue: 0x008)
  /// Both directions are closed; always told.
  public static let hangUp = Readiness(rawValue: 0x010)
}

/// One event.
public struct ReadyEvent: Sendable {
  /// The descriptor it is about.
  public let descriptor: Int32
  /// The generation that was given with it.
  public let generation: UInt32
  /// What has happened.
  public let readiness: Readiness
}

/// An epoll set and the buffer its events arrive in. Used by one thread.
public struct Epoll: ~Copyable {
  private let descriptor: Int32
  private let events: UnsafeMutablePointer<epoll_event>
  private let capacity: Int

  /// Makes an empty set.
  ///
  /// - Parameter capacity: events taken in one `wait`; at least 1.
  public init(capacity: Int = 512) throws(SystemError) {
    precondition(capacity > 0, "room for an event")
    descriptor = epoll_create1(Int32(EPOLL_CLOEXEC))
    if descriptor < 0 { throw SystemError(operation: "epoll_create1", number: errno) }
    events = .allocate(capacity: capacity)
    events.initialize(repeating: epoll_event(), count: capacity)
    self.capacity = capacity
  }

  deinit {
    events.deallocate()
    _ = close(descriptor)
  }

  /// Readable while there are events: for another set, or `poll`, to wait for this one.
  public var waitable: Int32 { descriptor }

  /// Watches a descriptor.
  public func add(_ fd: Int32, generation: UInt32, _ interest: Readiness) throws(SystemError) {
    try control(EPOLL_CTL_ADD, fd, generation, interest)
  }

  /// Changes what is watched for, or the generation.
  public func modify(_ fd: Int32, generation: UInt32, _ interest: Readiness) throws(SystemError) {
    try control(EPOLL_CTL_MOD, fd, generation, interest)
  }

  /// Stops watching a descriptor. Closing it does the same.
  public func remove(_ fd: Int32) throws(SystemError) {
    try control(EPOLL_CTL_DEL, fd, 0, [])
  }

  /// Waits for events; 0 when the time is over or a signal came.
  ///
  /// - Parameter timeoutNs: how long at most; negative: no limit; 0: only look.
  /// - Returns: how many events there are, to be read with `subscript` before the next `wait`.
  public func wait(timeoutNs: Int64) throws(SystemError) -> Int {
    let count = clinux_epoll_wait_ns(descriptor, events, Int32(clamping: capacity), timeoutNs)
    if count >= 0 { return Int(count) }
    let number = errno
    if number == EINTR { return 0 }
    throw SystemError(operation: "epoll_pwait2", number: number)
  }

  /// An event of the last `wait`.
  public subscript(index: Int) -> ReadyEvent {
    precondition(index >= 0 && index < capacity, "an event of the last wait")
    let data = clinux_epoll_event_data(events + index)
    return ReadyEvent(
      descriptor: Int32(truncatingIfNeeded: data),
      generation: UInt32(truncatingIfNeeded: data >> 32),
      readiness: Readiness(rawValue: events[index].events))
  }

  private func control(
    _ operation: Int32, _ fd: Int32, _ generation: UInt32, _ interest: Readiness
  ) throws(SystemError) {
    var event = epoll_event()
    let data = UInt64(generation) << 32 | UInt64(UInt32(bitPattern: fd))
    clinux_epoll_event_set(&event, interest.rawValue, data)
    if epoll_ctl(descriptor, operation, fd, &event) != 0 {
      throw SystemError(operation: "epoll_ctl of descriptor \(fd)", number: errno)
    }
  }
}
