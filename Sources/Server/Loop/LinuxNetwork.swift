// The network of the running program: sockets, epoll, and what else the loop must wake for.
//
// Holds: raised signals are taken back inside of `wait`, before the loop looks for what they announce, so that what comes
// later raises them again.

import Platform

/// Sockets over epoll.
final class LinuxNetwork: Network {
  @exclusivity(unchecked) private var epoll: Epoll
  private let notify: EventSignal
  private let signals: ProcessSignals
  private let clockWatch: ClockWatch
  private var events: [NetworkEvent] = []

  /// - Parameters:
  ///   - notify: raised by other threads that have finished work for the loop.
  ///   - signals: what asks the server to stop.
  init(notify: EventSignal, signals: ProcessSignals) throws(SystemError) {
    self.notify = notify
    self.signals = signals
    clockWatch = try ClockWatch()
    epoll = try Epoll()
    try epoll.add(notify.descriptor, generation: 0, .readable)
    try epoll.add(signals.descriptor, generation: 0, .readable)
    try epoll.add(clockWatch.descriptor, generation: 0, .readable)
  }

  func listen(host: String, port: UInt16) throws(SystemError) -> (descriptor: Int32, port: UInt16) {
    let descriptor = try Socket.listen(host: host, port: port)
    return (descriptor, Socket.localPort(descriptor))
  }

  func accept(_ listener: Int32) -> AcceptResult { Socket.accept(listener) }

  func peer(_ descriptor: Int32) -> PeerAddress { Socket.peer(descriptor) }

  func read(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) -> TransferResult {
    Socket.read(descriptor, into: buffer)
  }

  func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> TransferResult {
    Socket.write(descriptor, bytes)
  }

  func finishWriting(_ descriptor: Int32) { Socket.finishWriting(descriptor) }

  // Closing takes the descriptor out of the epoll set.
  func close(_ descriptor: Int32) { Socket.close(descriptor) }

  func watch(_ descriptor: Int32, generation: UInt32, _ interest: Readiness) throws(SystemError) {
    try epoll.add(descriptor, generation: generation, interest)
  }

  func setInterest(_ descriptor: Int32, generation: UInt32, _ interest: Readiness) throws(SystemError) {
    try epoll.modify(descriptor, generation: generation, interest)
  }

  func unwatch(_ descriptor: Int32) throws(SystemError) { try epoll.remove(descriptor) }

  func wait(timeoutNs: Int64) throws(SystemError) -> Int {
    let count = try epoll.wait(timeoutNs: timeoutNs)
    events.removeAll(keepingCapacity: true)
    for place in 0..<count {
      let event = epoll[place]
      switch event.descriptor {
      case notify.descriptor: notify.clear()
      case clockWatch.descriptor: clockWatch.clear()
      case signals.descriptor:
        while let signal = signals.next() { events.append(signal == .hangUp ? .reload : .stop) }
      default: events.append(.ready(event))
      }
    }
    return events.count
  }

  func event(_ place: Int) -> NetworkEvent { events[place] }
}

/// The machine's clocks.
struct LinuxClock: MachineClock {
  func bootNs() -> Int64 { SystemClock.bootNs() }
  func wallNs() -> Int64 { SystemClock.wallNs() }
}
