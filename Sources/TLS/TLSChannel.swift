// One connection's TLS: sealed bytes on the side of the network, plain ones on ours, and no socket in between.
//
// Holds: nothing here waits or makes a system call. Whatever was called, `takeSealed` afterwards: a handshake, an alert or a new
// key may have to be sent, also after a failure.
// Leaves to others: moving sealed bytes, time limits, threads (one at a time).

/// What a step came to.
public enum TLSStep: Equatable, Sendable {
  /// So many plain bytes were moved; for a handshake 0, and it is done.
  case bytes(Int)
  /// More sealed bytes are needed from the other side.
  case needsMore
  /// The other side has ended its direction.
  case ended
  /// It cannot go on; the reason in words.
  case failed(String)
}

/// TLS of one connection. Used by one thread at a time.
public final class TLSChannel {
  private let context: TLSContext
  private let connection: OpaquePointer
  // Owned by the connection.
  private let sealedIn: OpaquePointer
  private let sealedOut: OpaquePointer
  /// Whether the handshake is done.
  public private(set) var isOpen = false
  private var hasFinished = false
  private var hasFailed = false
  private var library: OpenSSL { context.library }

  /// The server's side, which waits for the client to begin.
  public init(serverOf context: TLSContext) throws(TLSError) {
    precondition(context.isServer, "a server has the context of one")
    (connection, sealedIn, sealedOut) = try Self.make(context)
    self.context = context
    library.accept(connection)
  }

  /// The client's side; `handshake` begins.
  ///
  /// - Parameter host: the name or address that the server's certificate must be for; nil: whatever it is for, which is for
  ///   who trusts that very certificate.
  public init(clientOf context: TLSContext, host: String?) throws(TLSError) {
    precondition(!context.isServer, "a client has the context of one")
    (connection, sealedIn, sealedOut) = try Self.make(context)
    self.context = context
    library.connect(connection)
    guard let host else { return }
    if library.expectAddress(library.verification(connection), host) != 1 {
      library.clearErrors()
      var name = Array(host.utf8CString)
      _ = name.withUnsafeMutableBytes {
        library.controlConnection(connection, OpenSSL.serverNameControl, 0, $0.baseAddress)
      }
      guard library.expectName(connection, host) == 1 else {
        throw TLSError("'\(host)' is no name that a certificate could be for")
      }
    }
  }

  private static func make(_ context: TLSContext) throws(TLSError) -> (OpaquePointer, OpaquePointer, OpaquePointer) {
    let library = context.library
    guard let connection = library.newConnection(context.context),
      let sealedIn = library.newBuffer(library.memoryKind()), let sealedOut = library.newBuffer(library.memoryKind())
    else { throw TLSError("there is no memory for TLS: \(library.takeReason())") }
    library.setBuffers(connection, sealedIn, sealedOut)
    return (connection, sealedIn, sealedOut)
  }

  deinit { library.freeConnection(connection) }

  // MARK: The network's side

  /// Takes in sealed bytes that have come.
  public func feed(_ sealed: UnsafeRawBufferPointer) {
    guard let base = sealed.baseAddress, !sealed.isEmpty else { return }
    let count = library.writeBuffer(sealedIn, base, Int32(clamping: sealed.count))
    precondition(Int(count) == sealed.count, "a buffer in memory takes all that it is given")
  }

  /// Sealed bytes that wait to be sent.
  public var sealedCount: Int { library.controlBuffer(sealedOut, OpenSSL.pendingControl, 0, nil) }

  /// Moves sealed bytes that are to be sent into `buffer`; gives how many, 0 when there are none.
  public func takeSealed(into buffer: UnsafeMutableRawBufferPointer) -> Int {
    guard let base = buffer.baseAddress, sealedCount > 0 else { return 0 }
    return Int(max(0, library.readBuffer(sealedOut, base, Int32(clamping: buffer.count))))
  }

  // MARK: Our side

  /// Goes on with the handshake.
  public func handshake() -> TLSStep {
    if isOpen { return .bytes(0) }
    let step = step { library.handshake(connection) }
    guard case .bytes = step else { return step }
    isOpen = true
    return .bytes(0)
  }

  /// Opens what has come, up to the size of the buffer and one record.
  public func read(into buffer: UnsafeMutableRawBufferPointer) -> TLSStep {
    guard let base = buffer.baseAddress else { return .needsMore }
    return step { library.read(connection, base, Int32(clamping: buffer.count)) }
  }

  /// Seals bytes; all of them, unless it fails.
  public func write(_ bytes: UnsafeRawBufferPointer) -> TLSStep {
    guard let base = bytes.baseAddress, !bytes.isEmpty else { return .bytes(0) }
    return step { library.write(connection, base, Int32(clamping: bytes.count)) }
  }

  /// Says that nothing more will be written. Once; later calls do nothing.
  public func finish() {
    guard isOpen, !hasFinished, !hasFailed else { return }
    hasFinished = true
    library.clearErrors()
    _ = library.shutDown(connection)
    library.clearErrors()
  }

  private func step(_ call: () -> Int32) -> TLSStep {
    if hasFailed { return .failed("it has failed before") }
    // Reasons are kept by thread, and another connection may have left some.
    library.clearErrors()
    let result = call()
    if result > 0 { return .bytes(Int(result)) }
    switch library.errorKind(connection, result) {
    case OpenSSL.wantsRead, OpenSSL.wantsWrite: return .needsMore
    case OpenSSL.hasEnded: return .ended
    default:
      hasFailed = true
      let verification = library.verificationResult(connection)
      guard verification == 0 else {
        library.clearErrors()
        return .failed("the certificate is not good: \(String(cString: library.verificationText(verification)))")
      }
      return .failed(library.takeReason())
    }
  }
}
