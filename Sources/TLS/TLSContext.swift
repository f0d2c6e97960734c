// What connections of one kind share: certificates, key, whom to trust.
//
// Holds: TLS 1.2 and 1.3 only, no renegotiation, no compression; a key with a passphrase is an error, never a question at the
// terminal. A context never changes: to take other files, another one is made, and connections keep the one they began with.
// Leaves to others: connections (TLSChannel), when files are read.

/// The files of a server.
public struct TLSFiles: Equatable, Sendable {
  /// The certificate with those of the authorities between it and the root behind it, as PEM.
  public var certificate: String
  /// Its private key, as PEM, without a passphrase.
  public var key: String
  /// Authorities of which clients must show a certificate, as PEM; nil: clients show none.
  public var clientAuthorities: String?

  /// Puts the names together.
  public init(certificate: String, key: String, clientAuthorities: String? = nil) {
    self.certificate = certificate
    self.key = key
    self.clientAuthorities = clientAuthorities
  }
}

/// Whom the client of a server trusts.
public enum TLSTrust: Equatable, Sendable {
  /// The authorities that the system trusts.
  case system
  /// Those of a file, as PEM; also the server's own certificate.
  case file(String)
}

/// Settings for connections. May be used by any thread.
public final class TLSContext: @unchecked Sendable {
  let library: OpenSSL
  let context: OpaquePointer
  let isServer: Bool

  private init(isServer: Bool) throws(TLSError) {
    let library = try OpenSSL.loaded()
    library.clearErrors()
    guard let context = library.newContext(isServer ? library.serverMethod() : library.clientMethod()) else {
      throw TLSError("OpenSSL does not start: \(library.takeReason())")
    }
    self.library = library
    self.context = context
    self.isServer = isServer
    _ = library.controlContext(context, OpenSSL.minVersionControl, OpenSSL.version12, nil)
    _ = library.controlContext(context, OpenSSL.modeControl, OpenSSL.releaseBuffersMode, nil)
    // Sessions are resumed by tickets, which take no memory here.
    _ = library.controlContext(context, OpenSSL.cacheModeControl, 0, nil)
    _ = library.setOptions(
      context, OpenSSL.ignoreUnexpectedEnd | OpenSSL.noCompression | OpenSSL.noRenegotiation)
    library.setPasswordCallback(context) { _, _, _, _ in 0 }
  }

  deinit { library.freeContext(context) }

  /// For the connections of a server.
  ///
  /// - Throws: when OpenSSL is not installed, or one of the files cannot be read or does not fit the others.
  public convenience init(server files: TLSFiles) throws(TLSError) {
    try self.init(isServer: true)
    try take(certificate: files.certificate, key: files.key)
    guard let path = files.clientAuthorities else { return }
    guard library.trustFile(context, path) == 1, let names = library.namesOfAuthorities(path) else {
      throw TLSError("'\(path)' has no certificates of authorities as PEM: \(library.takeReason())")
    }
    library.setNamesOfAuthorities(context, names)
    library.setVerification(context, OpenSSL.verifyPeer | OpenSSL.requirePeer, nil)
    // Without one, sessions of clients with certificates are not resumed but refused.
    let name = Array("escapement".utf8)
    _ = library.setSessionContext(context, name, UInt32(name.count))
  }

  /// For the connections of a client, which always looks at whom it speaks to.
  ///
  /// - Parameters:
  ///   - certificate: what it shows when it is asked, as PEM; nil for nothing.
  ///   - key: the key of that.
  public convenience init(
    client trust: TLSTrust, certificate: String? = nil, key: String? = nil
  ) throws(TLSError) {
    try self.init(isServer: false)
    if let certificate { try take(certificate: certificate, key: key ?? certificate) }
    switch trust {
    case .system:
      guard library.trustSystem(context) == 1 else {
        throw TLSError("the authorities that the system trusts cannot be read: \(library.takeReason())")
      }
    case .file(let path):
      guard library.trustFile(context, path) == 1 else {
        throw TLSError("'\(path)' has no certificates as PEM: \(library.takeReason())")
      }
      _ = library.setTrustFlags(library.trustOfContext(context), OpenSSL.partialChain)
    }
    library.setVerification(context, OpenSSL.verifyPeer, nil)
  }

  private func take(certificate: String, key: String) throws(TLSError) {
    guard library.useChain(context, certificate) == 1 else {
      throw TLSError("'\(certificate)' has no certificate as PEM: \(library.takeReason())")
    }
    guard library.useKey(context, key, OpenSSL.pem) == 1 else {
      throw TLSError(
        "'\(key)' has no private key as PEM without a passphrase, or not that of '\(certificate)': "
          + library.takeReason())
    }
    guard library.checkKey(context) == 1 else {
      throw TLSError("the key '\(key)' is not that of '\(certificate)': \(library.takeReason())")
    }
  }
}
