// The network of the running program: sockets, epoll, and what else the loop must wake for.
//
// Holds: raised signals are taken back inside of `wait`, before the loop looks for what they announce, so that what comes
// later raises them again.

import Platform

/// Sockets over epoll.
package final class LinuxNetwork: Network {
  @exclusivity(unchecked) private var epoll: Epoll
  private let notify: EventSignal
  private let signals: ProcessSignals?
  private let others: Set<Int32>
  private let clockWatch: ClockWatch
  private var events: [NetworkEvent] = []

  /// - Parameters:
  ///   - notify: raised by other threads that have finished work for the loop.
  ///   - signals: what asks the server to stop; nil when somebody else listens to that.
  ///   - others: descriptors whose readiness only ends the waiting: whoever owns them looks after each `wait`.
  package init(notify: EventSignal, signals: ProcessSignals? = nil, others: [Int32] = []) throws(SystemError) {
    self.notify = notify
    self.signals = signals
    self.others = Set(others)
    clockWatch = try ClockWatch()
    epoll = try Epoll()
    try epoll.add(notify.descriptor, generation: 0, .readable)
    if let signals { try epoll.add(signals.descriptor, generation: 0, .readable) }
    for other in others { try epoll.add(other, generation: 0, .readable) }
    try epoll.add(clockWatch.descriptor, generation: 0, .readable)
  }

  package func listen(host: String, port: UInt16) throws(SystemError) -> (descriptor: Int32, port: UInt16) {
    let descriptor = try Socket.listen(host: host, port: port)
    return (descriptor, Socket.localPort(descriptor))
  }

  package func accept(_ listener: Int32) -> AcceptResult { Socket.accept(listener) }

  package func peer(_ descriptor: Int32) -> PeerAddress { Socket.peer(descriptor) }

  package func read(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) -> TransferResult {
    Socket.read(descriptor, into: buffer)
  }

  package func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> TransferResult {
    Socket.write(descriptor, bytes)
  }

  package func finishWriting(_ descriptor: Int32) { Socket.finishWriting(descriptor) }

  // Closing takes the descriptor out of the epoll set.
  package func close(_ descriptor: Int32) { Socket.close(descriptor) }

  package func watch(_ descriptor: Int32, generation: UInt32, _ interest: Readiness) throws(SystemError) {
    try epoll.add(descriptor, generation: generation, interest)
  }

  package func setInterest(_ descriptor: Int32, generation: UInt32, _ interest: Readiness) throws(SystemError) {
    try epoll.modify(descriptor, generation: generation, interest)
  }

  package func unwatch(_ descriptor: Int32) throws(SystemError) { try epoll.remove(descriptor) }

  package func wait(timeoutNs: Int64) throws(SystemError) -> Int {
    let count = try epoll.wait(timeoutNs: timeoutNs)
    events.removeAll(keepingCapacity: true)
    for place in 0..<count {
      let event = epoll[place]
      switch event.descriptor {
      case notify.descriptor: notify.clear()
      case clockWatch.descriptor: clockWatch.clear()
      case signals?.descriptor:
        while let signal = signals?.next() { events.append(signal == .hangUp ? .reload : .stop) }
      case let descriptor where others.contains(descriptor): break
      default: events.append(.ready(event))
      }
    }
    return events.count
  }

  package func event(_ place: Int) -> NetworkEvent { events[place] }
}

/// The machine's clocks.
package struct LinuxClock: MachineClock {
  package init() {}
  package func bootNs() -> Int64 { SystemClock.bootNs() }
  package func wallNs() -> Int64 { SystemClock.wallNs() }
}
