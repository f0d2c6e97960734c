// Opens TCP connections: resolves a name, tries each address, bounds the wait.
//
// Leaves to others: reading and writing (Wire).

import Dispatch
import Glibc

enum Dial {
  /// Connects to `host:port`; gives a blocking socket without Nagle's delay, with keep-alive.
  static func connect(host: String, port: Int, timeoutMs: Int64) async throws(EscapementError) -> Int32 {
    let outcome: Result<Int32, EscapementError> = await withCheckedContinuation { continuation in
      // Name resolution and the wait block, so they stay off the cooperative threads.
      DispatchQueue.global().async { continuation.resume(returning: dial(host, port, timeoutMs)) }
    }
    return try outcome.get()
  }

  private static func dial(_ host: String, _ port: Int, _ timeoutMs: Int64) -> Result<Int32, EscapementError> {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_family = AF_UNSPEC
    var list: UnsafeMutablePointer<addrinfo>?
    let status = getaddrinfo(host, String(port), &hints, &list)
    guard status == 0 else {
      return .failure(.connectionLost(reason: "\(host): \(String(cString: gai_strerror(status)))"))
    }
    defer { freeaddrinfo(list) }
    var reason = "no address"
    var next = list
    while let address = next {
      switch attempt(address.pointee, timeoutMs) {
      case .success(let socket): return .success(socket)
      case .failure(let failure): reason = failure.reason
      }
      next = address.pointee.ai_next
    }
    return .failure(.connectionLost(reason: "\(host):\(port): \(reason)"))
  }

  private struct Failure: Error { var reason: String }

  private static func attempt(_ address: addrinfo, _ timeoutMs: Int64) -> Result<Int32, Failure> {
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
    let socket = Glibc.socket(address.ai_family, kind, address.ai_protocol)
    guard socket >= 0 else { return .failure(Failure(reason: systemError(errno))) }
    func give(up code: Int32) -> Result<Int32, Failure> {
      Glibc.close(socket)
      return .failure(Failure(reason: systemError(code)))
    }
    if Glibc.connect(socket, address.ai_addr, address.ai_addrlen) != 0 {
      guard errno == EINPROGRESS else { return give(up: errno) }
      var waiting = pollfd(fd: socket, events: Int16(POLLOUT), revents: 0)
      let ready = poll(&waiting, 1, Int32(clamping: timeoutMs))
      guard ready > 0 else { return give(up: ready == 0 ? ETIMEDOUT : errno) }
      var code: Int32 = 0
      var length = socklen_t(MemoryLayout<Int32>.size)
      getsockopt(socket, SOL_SOCKET, SO_ERROR, &code, &length)
      guard code == 0 else { return give(up: code) }
    }
    _ = fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) & ~O_NONBLOCK)
    set(socket, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    // A subscriber only listens, so a peer that vanished is noticed by keep-alive: within 15 + 3 · 5 s.
    set(socket, SOL_SOCKET, SO_KEEPALIVE, 1)
    set(socket, Int32(IPPROTO_TCP), TCP_KEEPIDLE, 15)
    set(socket, Int32(IPPROTO_TCP), TCP_KEEPINTVL, 5)
    set(socket, Int32(IPPROTO_TCP), TCP_KEEPCNT, 3)
    return .success(socket)
  }

  private static func set(_ socket: Int32, _ level: Int32, _ option: Int32, _ value: Int32) {
    var value = value
    setsockopt(socket, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
  }
}

/// The system's text for an error number.
func systemError(_ code: Int32) -> String { String(cString: strerror(code)) }
