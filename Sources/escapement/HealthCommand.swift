// `health`: asks the HTTP listener whether the server is ready; for the health checks of containers, which have no curl.

import Foundation
import Platform
import TLS

extension Command {
  static let health = Command(
    name: "health",
    summary: """
      Ask a server's HTTP listener whether it is ready; the exit status is 0 when it is.
      Knows where from ESCAPEMENT_HTTP, and that it speaks TLS from ESCAPEMENT_TLS_CERT, as the server does.
      """,
    options: [
      .value("http", "HOST:PORT", "where HTTP is spoken; or set ESCAPEMENT_HTTP", standard: "127.0.0.1:7612"),
      .value("tls-cert", "FILE", "the certificate of a server with TLS, as PEM; or set ESCAPEMENT_TLS_CERT"),
      .value("tls-client-cert", "FILE", "what to show to a server that wants a certificate, with its key, as PEM"),
    ]
  ) { options in
    let environment = ProcessInfo.processInfo.environment
    let (host, port) = try Session.address(options.text("http") ?? environment["ESCAPEMENT_HTTP"] ?? "127.0.0.1:7612")
    // Whoever asks has no patience: the signal ends the process.
    alarm(HealthCheck.patienceSeconds)
    let check = HealthCheck(
      certificate: options.text("tls-cert") ?? environment["ESCAPEMENT_TLS_CERT"],
      clientCertificate: options.text("tls-client-cert"))
    let answer = try check.ask(host: ["", "*"].contains(host) ? "127.0.0.1" : host, port: UInt16(port))
    Output.line(answer.text)
    return answer.isReady ? 0 : 1
  }
}

/// One question to `/readyz`.
struct HealthCheck {
  static let patienceSeconds: UInt32 = 10
  /// The certificate of the server, which is trusted whatever name it is for; nil for plain HTTP.
  var certificate: String?
  var clientCertificate: String?

  private static let request = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

  func ask(host: String, port: UInt16) throws -> (isReady: Bool, text: String) {
    let socket = try Socket.connect(host: host, port: port)
    defer { Socket.close(socket) }
    let response = try certificate.map { try askSealed(socket, certificate: $0) } ?? askPlain(socket)
    let text = String(decoding: response, as: UTF8.self)
    guard let head = text.firstRange(of: "\r\n\r\n") else { return (false, "no answer of HTTP") }
    return (
      text.hasPrefix("HTTP/1.1 200 "), text[head.upperBound...].trimmingCharacters(in: .whitespacesAndNewlines)
    )
  }

  private func askPlain(_ socket: Int32) -> [UInt8] {
    Self.send(Array(Self.request.utf8), socket)
    var response: [UInt8] = []
    while let bytes = Self.receive(socket) { response += bytes }
    return response
  }

  private func askSealed(_ socket: Int32, certificate: String) throws(TLSError) -> [UInt8] {
    let context = try TLSContext(client: .file(certificate), certificate: clientCertificate)
    let channel = try TLSChannel(clientOf: context, host: nil)
    func flush() {
      var sealed = [UInt8](repeating: 0, count: channel.sealedCount)
      _ = sealed.withUnsafeMutableBytes { channel.takeSealed(into: $0) }
      Self.send(sealed, socket)
    }
    var response: [UInt8] = []
    var hasAsked = false
    while true {
      var piece = [UInt8](repeating: 0, count: 16 << 10)
      let step = channel.isOpen ? piece.withUnsafeMutableBytes { channel.read(into: $0) } : channel.handshake()
      if channel.isOpen, !hasAsked {
        hasAsked = true
        _ = Array(Self.request.utf8).withUnsafeBytes { channel.write($0) }
      }
      flush()
      switch step {
      case .bytes(let count): response += piece[..<count]
      case .needsMore:
        guard let bytes = Self.receive(socket) else { return response }
        bytes.withUnsafeBytes { channel.feed($0) }
      case .ended: return response
      case .failed(let reason): throw TLSError("TLS: \(reason)")
      }
    }
  }

  private static func send(_ bytes: [UInt8], _ socket: Int32) {
    var rest = bytes[...]
    while !rest.isEmpty {
      guard case .bytes(let count) = rest.withUnsafeBytes({ Socket.write(socket, $0) }) else { return }
      rest = rest.dropFirst(count)
    }
  }

  /// What comes next; nil at the end.
  private static func receive(_ socket: Int32) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: 16 << 10)
    guard case .bytes(let count) = bytes.withUnsafeMutableBytes({ Socket.read(socket, into: $0) }) else { return nil }
    return Array(bytes[..<count])
  }
}
