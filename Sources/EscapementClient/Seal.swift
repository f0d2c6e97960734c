// TLS between the reading thread and the writing queue of a connection.
//
// Holds: one of the two uses the channel at a time. Sealed bytes are taken out and sent by the writing queue alone once the
// connection stands, so that they leave in their order.
// Leaves to others: TLS itself (the module TLS), moving sealed bytes (Wire).

import Dispatch
import Glibc
import Synchronization
import TLS

final class Seal: @unchecked Sendable {
  enum Opened {
    case bytes([UInt8])
    case ended(String)
  }

  // Used under the lock alone.
  private let channel: TLSChannel
  private let lock = Mutex(())

  private init(_ channel: TLSChannel) { self.channel = channel }

  // MARK: Once the connection stands

  /// Seals bytes, with what TLS has to say before; nil when that failed.
  func seal(_ bytes: [UInt8]) -> [UInt8]? {
    lock.withLock { _ in
      guard case .bytes = bytes.withUnsafeBytes({ channel.write($0) }) else { return nil }
      return takeSealed()
    }
  }

  var hasSomethingToSend: Bool { lock.withLock { _ in channel.sealedCount > 0 } }

  /// Opens what has come.
  func open(_ sealed: ArraySlice<UInt8>) -> Opened {
    lock.withLock { _ in
      sealed.withUnsafeBytes { channel.feed($0) }
      var opened: [UInt8] = []
      while true {
        let step = withUnsafeTemporaryAllocation(byteCount: 16 << 10, alignment: 1) { buffer in
          let step = channel.read(into: buffer)
          if case .bytes(let count) = step { opened += buffer[..<count] }
          return step
        }
        switch step {
        case .bytes: continue
        case .needsMore: return .bytes(opened)
        case .ended: return opened.isEmpty ? .ended("the server closed the connection") : .bytes(opened)
        case .failed(let reason): return .ended("TLS: \(reason)")
        }
      }
    }
  }

  private func takeSealed() -> [UInt8] {
    let count = channel.sealedCount
    return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      initialized = channel.takeSealed(into: UnsafeMutableRawBufferPointer(buffer))
    }
  }

  // MARK: Opening

  /// Does the handshake on a blocking socket, off the cooperative threads; closes the socket when it fails.
  static func open(
    _ socket: Int32, _ tls: TLSConfiguration, host: String, timeoutMs: Int64
  ) async throws(EscapementError) -> Seal {
    let outcome: Result<Seal, EscapementError> = await withCheckedContinuation { continuation in
      DispatchQueue.global().async {
        do throws(TLSError) {
          let trust = tls.authorities.map { TLSTrust.file($0) } ?? .system
          let context = try TLSContext(client: trust, certificate: tls.certificate, key: tls.key)
          let seal = Seal(try TLSChannel(clientOf: context, host: host))
          try seal.shakeHands(socket, timeoutMs)
          continuation.resume(returning: .success(seal))
        } catch {
          Glibc.close(socket)
          continuation.resume(returning: .failure(.connectionLost(reason: "TLS with \(host): \(error)")))
        }
      }
    }
    return try outcome.get()
  }

  private func shakeHands(_ socket: Int32, _ timeoutMs: Int64) throws(TLSError) {
    let (endNs, isFar) = DispatchTime.now().uptimeNanoseconds.addingReportingOverflow(
      UInt64(max(0, timeoutMs)) &* 1_000_000)
    while true {
      let step = channel.handshake()
      try send(takeSealed(), socket)
      switch step {
      case .bytes: return
      case .needsMore: try receive(socket, isFar ? .max : endNs)
      case .ended: throw TLSError("the server has closed the connection")
      case .failed(let reason): throw TLSError(reason)
      }
    }
  }

  private func send(_ bytes: [UInt8], _ socket: Int32) throws(TLSError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      if count < 0, errno == EINTR { continue }
      if count <= 0 { throw TLSError(systemError(errno)) }
      rest = rest.dropFirst(count)
    }
  }

  private func receive(_ socket: Int32, _ endNs: UInt64) throws(TLSError) {
    let nowNs = DispatchTime.now().uptimeNanoseconds
    var waiting = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
    let restMs = endNs > nowNs ? (endNs - nowNs) / 1_000_000 : 0
    guard poll(&waiting, 1, Int32(clamping: restMs)) > 0 else { throw TLSError(systemError(ETIMEDOUT)) }
    var bytes = [UInt8](repeating: 0, count: 16 << 10)
    let count = bytes.withUnsafeMutableBytes { recv(socket, $0.baseAddress, $0.count, 0) }
    if count < 0 { throw TLSError(systemError(errno)) }
    if count == 0 { throw TLSError("the server has closed the connection") }
    bytes[..<count].withUnsafeBytes { channel.feed($0) }
  }
}
