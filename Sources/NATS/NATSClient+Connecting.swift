// From one connection to the next.

import Platform
import TLS

extension NATSClient {
  /// Begins to connect to the next server.
  func connect() {
    let address = pool.next()
    server = address
    connectedByMs = nowMs &+ settings.connectTimeoutMs
    do throws(SystemError) { try transport.open(address) } catch { return disconnect("\(error)") }
    link = Link(transport)
    frames = FrameReader()
    phase = .greeting
  }

  /// Takes what the server says about itself.
  func take(_ json: UnsafeRawBufferPointer) throws(NATSProtocolError) {
    let news = try ServerInfo(json: json, jsonReader)
    guard let server else { return }
    pool.learn(news.otherServers, from: server)
    info = news
    if phase == .greeting { return introduceOurselves(to: server, news) }
    guard news.isLeaving, leaveByMs == nil, phase == .connected else { return }
    // In-flight calls may still be answered; new ones are not begun here.
    leaveByMs = pool.count > 1 ? nowMs &+ settings.leavingTimeoutMs : nil
  }

  private func introduceOurselves(to server: ServerAddress, _ news: ServerInfo) {
    guard let link else { return }
    if !link.isSealed {
      do throws(TLSError) { try sealIfNeeded(link, server, news) } catch { return disconnect("\(error)") }
    }
    let credentials = server.credentials == .none ? settings.credentials : server.credentials
    link.output.appendConnect(name: settings.name, credentials)
    link.output.appendSubscribe(inbox + "*", 1)
    for (place, subject) in subscriptions.enumerated() {
      link.output.appendSubscribe(subject, UInt64(place) + 2)
    }
    link.output.appendPing()
    phase = .introducing
  }

  private func sealIfNeeded(_ link: Link, _ server: ServerAddress, _ news: ServerInfo) throws(TLSError) {
    let isMust: Bool
    if case .always = settings.tls { isMust = true } else { isMust = server.mustUseTLS }
    guard isMust || news.requiresTLS else { return }
    guard news.requiresTLS || news.offersTLS else {
      throw TLSError("TLS is demanded, and the server does not offer it; give it a 'tls' block")
    }
    guard let context = settings.tls.context else {
      throw TLSError("the server requires TLS, and none is set up here")
    }
    // The frame of INFO itself still lies in front.
    try link.seal(context, host: server.certificateHost)
  }

  /// The server has answered the PING behind CONNECT.
  func enter() {
    phase = .connected
    pingsMs = []
    nextPingMs = nowMs &+ settings.pingEveryMs
    pool.beginRound(avoiding: server)
    notes.append(.connected)
  }

  /// Ends the connection, or the attempt at one; what is in flight is unanswered.
  func disconnect(_ reason: String) {
    link?.close()
    link = nil
    info = nil
    givenBytes = 0
    leaveByMs = nil
    for call in calls { notes.append(.unanswered(NATSCall(number: call.number))) }
    calls.removeAll(keepingCapacity: true)
    phase = .resting(untilMs: nowMs &+ pool.pauseMs())
    notes.append(.disconnected(reason: server.map { "\($0): \(reason)" } ?? reason))
  }
}
