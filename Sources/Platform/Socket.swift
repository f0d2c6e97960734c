// TCP connections: listening, accepting, connecting, moving bytes.
//
// Holds: sockets are not inherited by child processes; accepted ones do not block and send small writes at once; a broken
// connection is a result, never a signal.
// Leaves to others: who owns a descriptor and closes it, what the bytes mean.

import CLinux
import Glibc

/// What became of an attempt to move bytes.
public enum TransferResult: Equatable, Sendable {
  /// So many bytes were moved; at least 1 unless none were asked for.
  case bytes(Int)
  /// Not now: wait until the descriptor is ready.
  case wouldBlock
  /// The other side is gone.
  case closed
  /// The system's error number.
  case failed(Int32)
}

/// What became of an attempt to accept a connection.
public enum AcceptResult: Equatable, Sendable {
  /// A new connection, non-blocking, with TCP_NODELAY.
  case connection(Int32)
  /// There is none, or it was gone before it could be taken.
  case none
  /// No more descriptors or memory: close some, or accept later.
  case exhausted(Int32)
  /// The system's error number.
  case failed(Int32)
}

/// Where the other end of a connection is, without its port.
public struct PeerAddress: Hashable, Sendable, CustomStringConvertible {
  // Sixteen bytes of IPv6; an address of IPv4 as one mapped into it.
  private let high: UInt64
  private let low: UInt64

  /// The address of these sixteen bytes of IPv6, first byte first.
  public init(_ bytes: UnsafeRawBufferPointer) {
    precondition(bytes.count == 16, "an address of IPv6 has sixteen bytes")
    high = UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self))
    low = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
  }

  /// The IPv4 address of these four bytes, first byte in the highest place.
  public init(ipv4: UInt32) {
    high = 0
    low = 0xFFFF << 32 | UInt64(ipv4)
  }

  /// Reads what `description` gives; nil for anything else.
  public init?(_ text: String) {
    var bytes = [UInt8](repeating: 0, count: 16)
    if inet_pton(AF_INET6, text, &bytes) == 1 {
      self = bytes.withUnsafeBytes { PeerAddress($0) }
    } else if inet_pton(AF_INET, text, &bytes) == 1 {
      self.init(ipv4: bytes[..<4].reduce(0) { $0 << 8 | UInt32($1) })
    } else {
      return nil
    }
  }

  /// This machine, as IPv4 writes it.
  public static let loopback = PeerAddress(ipv4: 0x7F00_0001)

  private var ipv4: UInt32? { high == 0 && low >> 32 == 0xFFFF ? UInt32(truncatingIfNeeded: low) : nil }

  /// Whether it is on this machine: 127.0.0.0/8 or ::1.
  public var isLoopback: Bool { ipv4.map { $0 >> 24 == 127 } ?? (high == 0 && low == 1) }

  /// As people write it; IPv6 in its full length.
  public var description: String {
    if let ipv4 { return (0..<4).map { String(ipv4 >> (24 - 8 * UInt32($0)) & 255) }.joined(separator: ".") }
    return (0..<8).map { place in
      String((place < 4 ? high : low) >> UInt64(48 - 16 * (place % 4)) & 0xFFFF, radix: 16)
    }.joined(separator: ":")
  }
}

/// Calls on TCP sockets. All give descriptors that the caller closes.
public enum Socket {
  /// Listens without blocking.
  ///
  /// - Parameters:
  ///   - host: a name or an address of either family; empty or `*` for all addresses of both.
  ///   - port: 0 lets the system choose (see `localPort`).
  ///   - backlog: connections that wait to be accepted; the system may allow fewer.
  public static func listen(host: String, port: UInt16, backlog: Int32 = 4096) throws(SystemError) -> Int32 {
    let anyHost = host.isEmpty || host == "*"
    return try firstAddress(of: anyHost ? "::" : host, port: port, "listen on", passive: true, anyHost: anyHost) {
      fd, address, length in
      var yes: Int32 = 1
      var no: Int32 = 0
      let size = socklen_t(MemoryLayout<Int32>.size)
      _ = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, size)
      if anyHost { _ = setsockopt(fd, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &no, size) }
      keepAlive(fd)
      guard bind(fd, address, length) == 0, Glibc.listen(fd, backlog) == 0 else { return errno }
      return clinux_set_nonblocking(fd) == 0 ? 0 : errno
    }
  }

  /// Connects, blocking until the connection stands, and leaves it blocking, with TCP_NODELAY.
  public static func connect(host: String, port: UInt16) throws(SystemError) -> Int32 {
    let fd = try firstAddress(of: host, port: port, "connect to", passive: false, anyHost: false) {
      fd, address, length in
      uninterrupted { Glibc.connect(fd, address, length) }.number
    }
    setNoDelay(fd)
    return fd
  }

  /// Begins to connect and does not wait for it: until the connection stands, moving bytes gives `.wouldBlock`, and when it
  /// fails, an error. Looking a name up may take its time.
  ///
  /// - Parameter attempt: counts up with each attempt, so that another of the addresses of a name is tried first each time.
  /// - Returns: a non-blocking socket with TCP_NODELAY.
  public static func beginConnect(host: String, port: UInt16, attempt: Int) throws(SystemError) -> Int32 {
    let fd = try firstAddress(of: host, port: port, "connect to", passive: false, anyHost: false, rotatedBy: attempt) {
      fd, address, length in
      guard clinux_set_nonblocking(fd) == 0 else { return errno }
      let number = uninterrupted { Glibc.connect(fd, address, length) }.number
      return number == EINPROGRESS ? 0 : number
    }
    setNoDelay(fd)
    return fd
  }

  /// The port a socket is bound to; 0 when it has none.
  public static func localPort(_ fd: Int32) -> UInt16 {
    var address = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    return withUnsafeMutablePointer(to: &address) { storage in
      storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(fd, $0, &length) }
      // The port lies at the same place in both families.
      return UnsafeRawPointer(storage).load(fromByteOffset: 2, as: UInt16.self).byteSwapped
    }
  }

  /// Where the other end of a connection is; the unspecified address when it is gone already.
  public static func peer(_ fd: Int32) -> PeerAddress {
    var address = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    return withUnsafeMutablePointer(to: &address) { storage in
      storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getpeername(fd, $0, &length) }
      let bytes = UnsafeRawBufferPointer(start: storage, count: MemoryLayout<sockaddr_storage>.size)
      if storage.pointee.ss_family == sa_family_t(AF_INET) {
        return PeerAddress(ipv4: UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
      }
      // The address of IPv6 lies behind family, port and flow label.
      return PeerAddress(UnsafeRawBufferPointer(rebasing: bytes[8..<24]))
    }
  }

  /// Takes the next waiting connection.
  public static func accept(_ listener: Int32) -> AcceptResult {
    let (fd, number) = uninterrupted { clinux_accept(listener) }
    if fd >= 0 {
      setNoDelay(fd)
      return .connection(fd)
    }
    return switch number {
    // Network errors of a connection that is already gone arrive here too (see accept(2)); it is as if it never was.
    case EAGAIN, ECONNABORTED, EPROTO, ENETDOWN, ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH:
      .none
    case EMFILE, ENFILE, ENOBUFS, ENOMEM: .exhausted(number)
    default: .failed(number)
    }
  }

  /// The first IPv4 address of a name, its first number in the top byte; nil when it has none. Asks the network for names.
  public static func ipv4Address(of host: String) -> UInt32? {
    var hints = addrinfo()
    hints.ai_family = AF_INET
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host, nil, &hints, &list) == 0, let entry = list?.pointee else { return nil }
    defer { freeaddrinfo(list) }
    // The address lies behind family and port.
    return UnsafeRawPointer(entry.ai_addr).loadUnaligned(fromByteOffset: 4, as: UInt32.self).bigEndian
  }

  /// Two ends of a connection within this process; neither blocks.
  public static func pair() throws(SystemError) -> (Int32, Int32) {
    var ends: [Int32] = [-1, -1]
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { throw SystemError(operation: "socketpair", number: errno) }
    return (ends[0], ends[1])
  }

  /// Waits until a descriptor can be read, or `timeoutNs` have passed; whether it can.
  public static func waitReadable(_ fd: Int32, timeoutNs: Int64) -> Bool { clinux_wait_readable_ns(fd, timeoutNs) > 0 }

  /// Waits until a descriptor can be written, or `timeoutNs` have passed; whether it can.
  public static func waitWritable(_ fd: Int32, timeoutNs: Int64) -> Bool { clinux_wait_writable_ns(fd, timeoutNs) > 0 }

  /// Sends small writes at once instead of waiting for more.
  public static func setNoDelay(_ fd: Int32) {
    var yes: Int32 = 1
    _ = setsockopt(fd, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
  }

  /// Lets the system find out that the other machine is gone: within 60 + 4 · 15 s. What a listener accepts inherits it.
  private static func keepAlive(_ fd: Int32) {
    let tcp = Int32(IPPROTO_TCP)
    for (level, option, number): (Int32, Int32, Int32) in [
      (SOL_SOCKET, SO_KEEPALIVE, 1), (tcp, TCP_KEEPIDLE, 60), (tcp, TCP_KEEPINTVL, 15), (tcp, TCP_KEEPCNT, 4),
    ] {
      var number = number
      _ = setsockopt(fd, level, option, &number, socklen_t(MemoryLayout<Int32>.size))
    }
  }

  /// Reads what is there, up to the size of the buffer.
  public static func read(_ fd: Int32, into buffer: UnsafeMutableRawBufferPointer) -> TransferResult {
    let (count, number) = uninterrupted { recv(fd, buffer.baseAddress, buffer.count, 0) }
    if count == 0 && buffer.count > 0 { return .closed }
    return transfer(count, number)
  }

  /// Writes as much as there is room for.
  public static func write(_ fd: Int32, _ bytes: UnsafeRawBufferPointer) -> TransferResult {
    let flags = Int32(MSG_NOSIGNAL)
    let (count, number) = uninterrupted { send(fd, bytes.baseAddress, bytes.count, flags) }
    return transfer(count, number)
  }

  /// Writes from several places, in order, as much as there is room for.
  ///
  /// - Parameter pieces: at most 1024.
  public static func write(_ fd: Int32, pieces: UnsafeMutableBufferPointer<iovec>) -> TransferResult {
    var message = msghdr()
    message.msg_iov = pieces.baseAddress
    message.msg_iovlen = pieces.count
    let flags = Int32(MSG_NOSIGNAL)
    let (count, number) = uninterrupted { sendmsg(fd, &message, flags) }
    return transfer(count, number)
  }

  /// Says that no more will be written; the other side reads the end.
  public static func finishWriting(_ fd: Int32) { _ = shutdown(fd, Int32(SHUT_WR)) }

  /// Closes a descriptor.
  public static func close(_ fd: Int32) { _ = Glibc.close(fd) }

  private static func transfer(_ count: Int, _ number: Int32) -> TransferResult {
    if count >= 0 { return .bytes(count) }
    return switch number {
    case EAGAIN: .wouldBlock
    case EPIPE, ECONNRESET, ENOTCONN: .closed
    default: .failed(number)
    }
  }

  /// A socket for the first address of `host` that `use` gives 0 for, beginning with the one at place `rotatedBy` of them, round
  /// the end; otherwise throws the last error number.
  private static func firstAddress(
    of host: String, port: UInt16, _ operation: String, passive: Bool, anyHost: Bool, rotatedBy rotation: Int = 0,
    _ use: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32
  ) throws(SystemError) -> Int32 {
    let operation = "\(operation) \(host.contains(":") ? "[\(host)]" : host):\(port)"
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = (passive ? AI_PASSIVE : 0) | AI_NUMERICSERV
    var list: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(host, String(port), &hints, &list)
    if code != 0 {
      throw SystemError(operation: operation, number: 0, reason: String(cString: gai_strerror(code)))
    }
    defer { freeaddrinfo(list) }
    var number = EADDRNOTAVAIL
    let entries = Array(sequence(first: list?.pointee) { $0?.ai_next?.pointee }.compactMap { $0 })
    let start = Int(rotation.magnitude % UInt(max(entries.count, 1)))
    for entry in entries[start...] + entries[..<start] {
      let fd = socket(entry.ai_family, entry.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), entry.ai_protocol)
      if fd < 0 {
        number = errno
        continue
      }
      number = use(fd, entry.ai_addr, entry.ai_addrlen)
      if number == 0 { return fd }
      _ = Glibc.close(fd)
    }
    // A machine without IPv6 still listens on all it has.
    if anyHost && host == "::" {
      return try firstAddress(of: "0.0.0.0", port: port, "listen on", passive: true, anyHost: false, use)
    }
    throw SystemError(operation: operation, number: number)
  }
}
