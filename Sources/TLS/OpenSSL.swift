// The functions of OpenSSL 3 that TLS needs, looked up in the system's library when the first of them is needed.
//
// Holds: nothing of OpenSSL is needed to build or to start; who does not ask for TLS never loads it. Each pointer has the type
// that the function's manual page gives it, in C's types as Swift shows them.
// Leaves to others: what the functions are called for (TLSContext, TLSChannel).
//
// The numbers below are part of OpenSSL's binary interface, which is the same for all of version 3.

import Glibc

/// The loaded library. Its functions may be called by any thread.
final class OpenSSL: @unchecked Sendable {
  static let libraryName = "libssl.so.3"

  /// The library; loaded once.
  static func loaded() throws(TLSError) -> OpenSSL { try library.get() }

  private static let library = Result { () throws(TLSError) in try OpenSSL() }

  // MARK: Contexts

  let serverMethod: @convention(c) () -> OpaquePointer?
  let clientMethod: @convention(c) () -> OpaquePointer?
  let newContext: @convention(c) (OpaquePointer?) -> OpaquePointer?
  let freeContext: @convention(c) (OpaquePointer) -> Void
  let controlContext: @convention(c) (OpaquePointer, Int32, Int, UnsafeMutableRawPointer?) -> Int
  let setOptions: @convention(c) (OpaquePointer, UInt64) -> UInt64
  let useChain: @convention(c) (OpaquePointer, UnsafePointer<CChar>) -> Int32
  let useKey: @convention(c) (OpaquePointer, UnsafePointer<CChar>, Int32) -> Int32
  let checkKey: @convention(c) (OpaquePointer) -> Int32
  let trustFile: @convention(c) (OpaquePointer, UnsafePointer<CChar>) -> Int32
  let trustSystem: @convention(c) (OpaquePointer) -> Int32
  let namesOfAuthorities: @convention(c) (UnsafePointer<CChar>) -> OpaquePointer?
  let setNamesOfAuthorities: @convention(c) (OpaquePointer, OpaquePointer?) -> Void
  let trustOfContext: @convention(c) (OpaquePointer) -> OpaquePointer?
  let setTrustFlags: @convention(c) (OpaquePointer?, UInt) -> Int32
  let setVerification: @convention(c) (OpaquePointer, Int32, UnsafeRawPointer?) -> Void
  let setSessionContext: @convention(c) (OpaquePointer, UnsafePointer<UInt8>, UInt32) -> Int32
  typealias PasswordCallback =
    @convention(c) (UnsafeMutablePointer<CChar>?, Int32, Int32, UnsafeMutableRawPointer?) -> Int32
  let setPasswordCallback: @convention(c) (OpaquePointer, PasswordCallback) -> Void

  // MARK: Connections

  let newConnection: @convention(c) (OpaquePointer) -> OpaquePointer?
  let freeConnection: @convention(c) (OpaquePointer) -> Void
  let setBuffers: @convention(c) (OpaquePointer, OpaquePointer, OpaquePointer) -> Void
  let accept: @convention(c) (OpaquePointer) -> Void
  let connect: @convention(c) (OpaquePointer) -> Void
  let handshake: @convention(c) (OpaquePointer) -> Int32
  let read: @convention(c) (OpaquePointer, UnsafeMutableRawPointer, Int32) -> Int32
  let write: @convention(c) (OpaquePointer, UnsafeRawPointer, Int32) -> Int32
  let shutDown: @convention(c) (OpaquePointer) -> Int32
  let errorKind: @convention(c) (OpaquePointer, Int32) -> Int32
  let controlConnection: @convention(c) (OpaquePointer, Int32, Int, UnsafeMutableRawPointer?) -> Int
  let expectName: @convention(c) (OpaquePointer, UnsafePointer<CChar>) -> Int32
  let verification: @convention(c) (OpaquePointer) -> OpaquePointer?
  let verificationResult: @convention(c) (OpaquePointer) -> Int

  // MARK: The library below

  let memoryKind: @convention(c) () -> OpaquePointer?
  let newBuffer: @convention(c) (OpaquePointer?) -> OpaquePointer?
  let readBuffer: @convention(c) (OpaquePointer, UnsafeMutableRawPointer, Int32) -> Int32
  let writeBuffer: @convention(c) (OpaquePointer, UnsafeRawPointer, Int32) -> Int32
  let controlBuffer: @convention(c) (OpaquePointer, Int32, Int, UnsafeMutableRawPointer?) -> Int
  let clearErrors: @convention(c) () -> Void
  let nextError: @convention(c) () -> UInt
  let reason: @convention(c) (UInt) -> UnsafePointer<CChar>?
  let expectAddress: @convention(c) (OpaquePointer?, UnsafePointer<CChar>) -> Int32
  let verificationText: @convention(c) (Int) -> UnsafePointer<CChar>

  // MARK: Numbers

  static let minVersionControl: Int32 = 123
  static let modeControl: Int32 = 33
  static let cacheModeControl: Int32 = 44
  static let serverNameControl: Int32 = 55
  static let pendingControl: Int32 = 10
  static let version12 = 0x0303
  /// Memory of buffers that are empty is given back.
  static let releaseBuffersMode = 0x10
  /// A connection that ends without saying so has ended: the protocols inside know whether something is missing.
  static let ignoreUnexpectedEnd: UInt64 = 1 << 7
  static let noCompression: UInt64 = 1 << 17
  static let noRenegotiation: UInt64 = 1 << 30
  static let pem: Int32 = 1
  /// A certificate that is trusted itself needs no authority.
  static let partialChain: UInt = 0x80000
  static let verifyPeer: Int32 = 1
  static let requirePeer: Int32 = 2
  static let wantsRead: Int32 = 2
  static let wantsWrite: Int32 = 3
  static let hasEnded: Int32 = 6

  private init() throws(TLSError) {
    guard let handle = dlopen(Self.libraryName, RTLD_NOW | RTLD_LOCAL) else {
      throw TLSError(
        "TLS needs OpenSSL 3, and its library \(Self.libraryName) cannot be loaded (\(Self.loaderText)); install it "
          + "(the package is called libssl3 or openssl-libs), or leave TLS to a proxy")
    }
    // What the library below has is found through it, too.
    func find<Function>(_ name: String) throws(TLSError) -> Function {
      guard let symbol = dlsym(handle, name) else {
        throw TLSError("\(Self.libraryName) has no function \(name): it is no OpenSSL 3")
      }
      return unsafeBitCast(symbol, to: Function.self)
    }
    serverMethod = try find("TLS_server_method")
    clientMethod = try find("TLS_client_method")
    newContext = try find("SSL_CTX_new")
    freeContext = try find("SSL_CTX_free")
    controlContext = try find("SSL_CTX_ctrl")
    setOptions = try find("SSL_CTX_set_options")
    useChain = try find("SSL_CTX_use_certificate_chain_file")
    useKey = try find("SSL_CTX_use_PrivateKey_file")
    checkKey = try find("SSL_CTX_check_private_key")
    trustFile = try find("SSL_CTX_load_verify_file")
    trustSystem = try find("SSL_CTX_set_default_verify_paths")
    namesOfAuthorities = try find("SSL_load_client_CA_file")
    setNamesOfAuthorities = try find("SSL_CTX_set_client_CA_list")
    trustOfContext = try find("SSL_CTX_get0_param")
    setTrustFlags = try find("X509_VERIFY_PARAM_set_flags")
    setVerification = try find("SSL_CTX_set_verify")
    setSessionContext = try find("SSL_CTX_set_session_id_context")
    setPasswordCallback = try find("SSL_CTX_set_default_passwd_cb")
    newConnection = try find("SSL_new")
    freeConnection = try find("SSL_free")
    setBuffers = try find("SSL_set_bio")
    accept = try find("SSL_set_accept_state")
    connect = try find("SSL_set_connect_state")
    handshake = try find("SSL_do_handshake")
    read = try find("SSL_read")
    write = try find("SSL_write")
    shutDown = try find("SSL_shutdown")
    errorKind = try find("SSL_get_error")
    controlConnection = try find("SSL_ctrl")
    expectName = try find("SSL_set1_host")
    verification = try find("SSL_get0_param")
    verificationResult = try find("SSL_get_verify_result")
    memoryKind = try find("BIO_s_mem")
    newBuffer = try find("BIO_new")
    readBuffer = try find("BIO_read")
    writeBuffer = try find("BIO_write")
    controlBuffer = try find("BIO_ctrl")
    clearErrors = try find("ERR_clear_error")
    nextError = try find("ERR_get_error")
    reason = try find("ERR_reason_error_string")
    expectAddress = try find("X509_VERIFY_PARAM_set1_ip_asc")
    verificationText = try find("X509_verify_cert_error_string")
  }

  private static var loaderText: String { dlerror().map { String(cString: $0) } ?? "no reason is given" }

  /// Why the last call of this thread failed; takes the reasons away.
  func takeReason() -> String {
    var text: String?
    // The first one is the deepest, and says most.
    while true {
      let number = nextError()
      if number == 0 { break }
      if text == nil, let reason = reason(number) { text = String(cString: reason) }
    }
    return text ?? "no reason is given"
  }
}
