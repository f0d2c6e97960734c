// Tells the service manager that started this process how it is: systemd's notify socket, spoken without its library.
//
// Holds: a datagram each, never waited for; who has no such manager has no notifier.
// Leaves to others: when what is true (the server's loop).
//
// Source: sd_notify(3), sd_watchdog_enabled(3).

import Glibc

/// The way to the service manager.
public final class ServiceNotifier: Sendable {
  /// How often the manager wants to hear `WATCHDOG=1`, in ms: half of its patience; nil when it does not watch.
  public let watchdogMs: Int64?
  private let descriptor: Int32

  /// The one that the environment names; nil when there is none, or it cannot be reached.
  public init?(environment: [String: String]) {
    guard let path = environment["NOTIFY_SOCKET"], let descriptor = Self.connect(path) else { return nil }
    self.descriptor = descriptor
    watchdogMs = Self.watchdogMs(environment)
  }

  deinit { _ = Glibc.close(descriptor) }

  /// Says something: lines of `NAME=VALUE`, such as `READY=1`.
  public func send(_ text: String) {
    var text = text
    text.withUTF8 { bytes in
      _ = uninterrupted {
        Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
      }
    }
  }

  /// Microseconds of the clock that the manager compares a reload with.
  public static func monotonicUs() -> Int64 {
    var time = timespec()
    guard clock_gettime(CLOCK_MONOTONIC, &time) == 0 else { return 0 }
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
  }

  /// The variables may be about another process that started this one.
  private static func watchdogMs(_ environment: [String: String]) -> Int64? {
    guard let text = environment["WATCHDOG_USEC"], let us = Int64(text), us > 0 else { return nil }
    if let process = environment["WATCHDOG_PID"], process != "\(getpid())" { return nil }
    return max(1, us / 2000)
  }

  private static func connect(_ path: String) -> Int32? {
    var name = Array(path.utf8)
    // An abstract name begins with a zero byte, which is written as an at sign.
    if name.first == UInt8(ascii: "@") { name[0] = 0 } else if name.first != UInt8(ascii: "/") { return nil }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let nameOffset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path)!
    guard name.count < MemoryLayout.size(ofValue: address.sun_path) else { return nil }
    let length = socklen_t(nameOffset + name.count + (name[0] == 0 ? 0 : 1))
    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return nil }
    let isConnected = withUnsafeMutableBytes(of: &address) { bytes in
      bytes[nameOffset...].copyBytes(from: name)
      return bytes.withMemoryRebound(to: sockaddr.self) { Glibc.connect(descriptor, $0.baseAddress!, length) == 0 }
    }
    if isConnected { return descriptor }
    _ = Glibc.close(descriptor)
    return nil
  }
}
