// One TCP connection: a thread that reads lines, a queue that writes what has gathered.
//
// Holds: lines are handed over in the order they came, on one thread; `onEnd` comes once, after the last line; the socket
// is closed when nobody uses it any more, so its number is never reused under a reader's hands.
// Leaves to others: what lines mean (EscapementClient+Receive), when to open another (EscapementClient+Session).

import Dispatch
import Foundation
import Glibc
import Synchronization

final class Wire: Sendable {
  private struct Outgoing {
    var buffer: [UInt8] = []
    var isFlushing = false
    var isDead = false
    var drainWaiters: [CheckedContinuation<Void, Never>] = []
  }

  // Above this, senders that wait for no reply are held back until the socket has taken the rest.
  private static let unsentBytesMax = 1 << 20

  private let socket: Int32
  /// Its TLS; nil when it is plain.
  private let seal: Seal?
  private let lineBytesMax: Int
  private let outgoing = Mutex(Outgoing())
  private let writer = DispatchQueue(label: "escapement.client.writer")

  init(socket: Int32, seal: Seal? = nil, lineBytesMax: Int) {
    self.socket = socket
    self.seal = seal
    self.lineBytesMax = lineBytesMax
  }

  deinit { Glibc.close(socket) }

  /// Starts reading. Both closures run on the reading thread.
  func start(onLine: @escaping @Sendable ([UInt8]) -> Void, onEnd: @escaping @Sendable (String) -> Void) {
    let reader = Thread { [self] in
      let reason = readLines(onLine)
      shutDown()
      onEnd(reason)
    }
    reader.name = "escapement-read"
    reader.stackSize = 512 << 10
    reader.start()
  }

  /// Queues bytes for sending; whatever gathers while the socket is busy goes out in one piece.
  func write(_ bytes: [UInt8]) {
    let mustStart = outgoing.withLock { out in
      guard !out.isDead else { return false }
      out.buffer.append(contentsOf: bytes)
      defer { out.isFlushing = true }
      return !out.isFlushing
    }
    if mustStart { writer.async { self.flush() } }
  }

  /// Returns when little is left unsent (or the connection is gone).
  func drained() async {
    await withCheckedContinuation { continuation in
      let isFree = outgoing.withLock { out in
        if out.isDead || out.buffer.count <= Self.unsentBytesMax { return true }
        out.drainWaiters.append(continuation)
        return false
      }
      if isFree { continuation.resume() }
    }
  }

  /// Ends the connection in both directions; the reading thread notices.
  func shutDown() {
    let waiters = outgoing.withLock { out in
      out.isDead = true
      out.buffer = []
      defer { out.drainWaiters = [] }
      return out.drainWaiters
    }
    Glibc.shutdown(socket, Int32(SHUT_RDWR))
    for waiter in waiters { waiter.resume() }
  }

  private func flush() {
    while true {
      let (batch, waiters) = outgoing.withLock { out in
        let taken = (out.buffer, out.drainWaiters)
        out.buffer = []
        out.drainWaiters = []
        if taken.0.isEmpty { out.isFlushing = false }
        return taken
      }
      let isSent = seal.map { $0.seal(batch).map(send) ?? false } ?? send(batch)
      for waiter in waiters { waiter.resume() }
      if batch.isEmpty { return }
      if !isSent { return shutDown() }
    }
  }

  private func send(_ bytes: [UInt8]) -> Bool {
    bytes.withUnsafeBytes { raw in
      var sent = 0
      while sent < raw.count {
        let count = Glibc.send(socket, raw.baseAddress! + sent, raw.count - sent, Int32(MSG_NOSIGNAL))
        if count < 0 && errno == EINTR { continue }
        if count <= 0 { return false }
        sent += count
      }
      return true
    }
  }

  /// Reads until the end; gives the reason for it.
  private func readLines(_ onLine: (([UInt8]) -> Void)) -> String {
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    var partial: [UInt8] = []
    while true {
      let count = chunk.withUnsafeMutableBytes { recv(socket, $0.baseAddress, $0.count, 0) }
      if count < 0 && errno == EINTR { continue }
      if count < 0 { return systemError(errno) }
      if count == 0 { return "the server closed the connection" }
      var rest = chunk[..<count]
      if let seal {
        switch seal.open(rest) {
        case .bytes(let opened): rest = opened[...]
        case .ended(let reason): return reason
        }
        // What TLS itself has to say goes out with what else there is.
        if seal.hasSomethingToSend { write([]) }
      }
      while let newline = rest.firstIndex(of: UInt8(ascii: "\n")) {
        let line = partial + rest[..<newline]
        partial.removeAll(keepingCapacity: true)
        rest = rest[(newline + 1)...]
        if !line.isEmpty { onLine(line) }
      }
      partial.append(contentsOf: rest)
      if partial.count > lineBytesMax { return "a line longer than \(lineBytesMax) bytes came" }
    }
  }
}
