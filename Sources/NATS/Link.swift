// One connection: bytes that came and wait to be understood, bytes that wait to be sent, and TLS between them and the network.
//
// Holds: with TLS, nothing of what is sent leaves before the handshake is done, and all that came with one read of the network
// is opened at once, so that nothing lies here without the network saying so.
// Leaves to others: what the bytes mean, and when to give up (NATSClient).

import Platform
import Primitives
import TLS

/// What came of looking for more bytes.
enum Arrival {
  case some
  case nothing
  case ended(String)
}

/// The bytes of one connection.
final class Link {
  /// Bytes read in one go.
  private static let pieceBytes = 64 << 10
  /// Memory for sending that is kept: as much as a window of entries.
  private static let keptBytes = 1 << 20

  private let transport: any NATSTransport
  private var tls: TLSChannel?
  private var sealed = ByteBuffer()
  @exclusivity(unchecked) var input = ByteBuffer()
  @exclusivity(unchecked) var output = ByteBuffer()
  /// Whether the network takes no more at the moment; it will say when it does.
  private var isBlocked = false
  /// Why nothing can be sent any more. What the server has said before is read first: it may say why.
  private var sendFailure: String?

  init(_ transport: any NATSTransport) { self.transport = transport }

  /// Whether there is something to do: to send what the network might take, or to see that it takes nothing any more.
  var wantsToSend: Bool {
    guard !isBlocked else { return false }
    if sendFailure != nil { return true }
    return !sealed.isEmpty || (tls?.sealedCount ?? 0) > 0 || (!output.isEmpty && tls?.isOpen ?? true)
  }

  /// Goes on under TLS. Nothing may have come behind what said so: who sends bytes into a connection before it is sealed could
  /// put words into the mouth of the server.
  func seal(_ context: TLSContext, host: String) throws(TLSError) {
    guard input.isEmpty else { throw TLSError("bytes came before the handshake") }
    let channel = try TLSChannel(clientOf: context, host: host)
    _ = channel.handshake()
    tls = channel
  }

  var isSealed: Bool { tls != nil }

  /// Reads once.
  func receive() -> Arrival {
    let arrival = read()
    if case .nothing = arrival, let sendFailure { return .ended(sendFailure) }
    return arrival
  }

  private func read() -> Arrival {
    let room = input.writable(Self.pieceBytes)
    guard let tls else {
      let piece = UnsafeMutableRawBufferPointer(rebasing: room.prefix(Self.pieceBytes * 4))
      switch transport.read(into: piece) {
      case .bytes(let count):
        input.commit(count)
        return .some
      case let other: return Self.arrival(other)
      }
    }
    var arrival = Arrival.some
    withUnsafeTemporaryAllocation(byteCount: Self.pieceBytes, alignment: 16) { piece in
      switch transport.read(into: piece) {
      case .bytes(let count): tls.feed(UnsafeRawBufferPointer(rebasing: piece[..<count]))
      case let other: arrival = Self.arrival(other)
      }
    }
    guard case .some = arrival else { return arrival }
    return open(tls)
  }

  private static func arrival(_ result: TransferResult) -> Arrival {
    switch result {
    case .bytes: .some
    case .wouldBlock: .nothing
    case .closed: .ended("the server has closed the connection")
    case .failed(let number): .ended(SystemError(operation: "the connection", number: number).description)
    }
  }

  private func open(_ tls: TLSChannel) -> Arrival {
    if !tls.isOpen {
      switch tls.handshake() {
      case .bytes: break
      case .needsMore: return .some
      case .ended: return .ended("TLS: the server has ended the handshake")
      case .failed(let reason):
        // It shall learn why, where the network takes that.
        flush()
        return .ended("TLS: \(reason)")
      }
    }
    while true {
      switch tls.read(into: input.writable(Self.pieceBytes)) {
      case .bytes(let count): input.commit(count)
      case .needsMore: return .some
      case .ended: return .ended("the server has closed the connection")
      case .failed(let reason): return .ended("TLS: \(reason)")
      }
    }
  }

  /// Sends what the network takes.
  func flush() {
    isBlocked = false
    guard let tls else { return send(&output) }
    repeat {
      send(&sealed)
      if isBlocked || sendFailure != nil { return }
      let piece = UnsafeRawBufferPointer(rebasing: output.readable.prefix(Self.pieceBytes))
      if tls.isOpen, !piece.isEmpty {
        guard case .bytes = tls.write(piece) else {
          sendFailure = "TLS: what is to be sent cannot be sealed"
          return
        }
        output.consume(piece.count)
      }
      let count = tls.sealedCount
      if count > 0 { sealed.commit(tls.takeSealed(into: sealed.writable(count))) }
    } while !sealed.isEmpty
    output.shrink(keepingBytes: Self.keptBytes)
  }

  private func send(_ buffer: inout ByteBuffer) {
    while !buffer.isEmpty, !isBlocked, sendFailure == nil {
      switch transport.write(buffer.readable) {
      case .bytes(let count): buffer.consume(count)
      case .wouldBlock: isBlocked = true
      case let other: if case .ended(let reason) = Self.arrival(other) { sendFailure = reason }
      }
    }
    buffer.shrink(keepingBytes: Self.keptBytes)
  }

  func close() { transport.close() }
}
