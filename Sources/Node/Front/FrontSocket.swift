// One socket of the front: bytes that came and bytes that wait to be sent, plain or with TLS.
//
// Leaves to others: what the bytes mean (relays), when they are moved (Front).

import Platform
import Primitives
import Server
import TLS

/// A socket and what waits to be sent on it.
final class FrontSocket {
  /// Whom it leads to.
  enum End: Equatable {
    case client
    /// The shard of this number, here or on another node.
    case shard(Int)
  }

  let descriptor: Int32
  let generation: UInt32
  let end: End
  /// The client's connection that it belongs to; nil for one of the node's own.
  private(set) weak var owner: FrontConnection?
  /// Bytes that were not sent.
  var output = ByteBuffer()
  /// Its TLS; nil when it is plain.
  let secure: SecureSide?
  /// On the way to another node: not agreed on yet.
  var splice: Splice?
  /// The other side sends nothing more.
  var inputEnded = false
  /// To be told that nothing more comes, when everything is sent.
  var endsOutput = false
  /// To be closed when everything is sent; nothing is read any more.
  var closesWhenSent = false
  var isGone = false
  /// What the loop watches for.
  var interest: Readiness = .readable

  init(
    _ descriptor: Int32, generation: UInt32, _ end: End, _ owner: FrontConnection?, secure: SecureSide? = nil
  ) {
    self.descriptor = descriptor
    self.generation = generation
    self.end = end
    self.owner = owner
    self.secure = secure
  }

  /// What came, given in pieces to `take`. The buffer is good during the call.
  func receive(_ buffer: UnsafeMutableRawBufferPointer, _ take: (UnsafeRawBufferPointer) -> Void) {
    switch Socket.read(descriptor, into: buffer) {
    case .bytes(let count):
      let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<count])
      guard let secure else { return take(bytes) }
      secure.channel.feed(bytes)
      open(secure, buffer, take)
    case .wouldBlock: return
    case .closed: inputEnded = true
    case .failed: isGone = true
    }
  }

  private func open(
    _ secure: SecureSide, _ buffer: UnsafeMutableRawBufferPointer, _ take: (UnsafeRawBufferPointer) -> Void
  ) {
    if secure.openByMs != nil {
      switch secure.channel.handshake() {
      case .needsMore: return
      case .bytes: secure.openByMs = nil
      case .ended, .failed:
        _ = Socket.write(descriptor, secure.sealed)
        isGone = true
        return
      }
    }
    while true {
      switch secure.channel.read(into: buffer) {
      case .bytes(let count): take(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      case .needsMore: return
      case .ended:
        inputEnded = true
        return
      case .failed:
        isGone = true
        return
      }
    }
  }

  /// Sends what can be sent.
  func flush() {
    guard let secure else { return flushPlain() }
    while !isGone {
      let sealed = secure.sealed
      if !sealed.isEmpty {
        switch Socket.write(descriptor, sealed) {
        case .bytes(let count): secure.didSend(count)
        case .wouldBlock: return
        case .closed, .failed: isGone = true
        }
        continue
      }
      guard secure.openByMs == nil, !output.isEmpty else { break }
      let piece = UnsafeRawBufferPointer(rebasing: output.readable.prefix(SecureSide.pieceBytes))
      guard case .bytes(let count) = secure.channel.write(piece) else {
        isGone = true
        return
      }
      output.consume(count)
    }
    finishIfSent()
  }

  private func flushPlain() {
    while !output.isEmpty, !isGone {
      switch Socket.write(descriptor, output.readable) {
      case .bytes(let count): output.consume(count)
      case .wouldBlock: return
      case .closed, .failed: isGone = true
      }
    }
    output.shrink(keepingBytes: 64 << 10)
    finishIfSent()
  }

  private func finishIfSent() {
    guard output.isEmpty, splice == nil else { return }
    if endsOutput, !closesWhenSent {
      endsOutput = false
      secure?.channel.finish()
      if let secure { _ = Socket.write(descriptor, secure.sealed) }
      return Socket.finishWriting(descriptor)
    }
    guard closesWhenSent else { return }
    if let secure {
      secure.channel.finish()
      _ = Socket.write(descriptor, secure.sealed)
    }
    isGone = true
  }

  /// Whether bytes wait for room.
  var isBlocked: Bool { !output.isEmpty || (secure.map { !$0.sealed.isEmpty } ?? false) }
}
