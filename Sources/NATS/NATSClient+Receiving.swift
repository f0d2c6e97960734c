// What comes from the server, one event at a time.
//
// Holds: everything that has come is looked at before anything is given up for being late: a process that was stopped for a
// while finds the answers that arrived meanwhile.

extension NATSClient {
  /// The next thing that has happened; nil when nothing more has, or the turn has read enough.
  public func next() -> NATSEvent? {
    takeGivenBytes()
    while true {
      if !notes.isEmpty { return notes.removeFirst() }
      guard let link else { return nil }
      do throws(NATSProtocolError) {
        if let (frame, count) = try frames.next(link.input.readable) {
          givenBytes = count
          if let event = try take(frame) { return event }
          takeGivenBytes()
          continue
        }
      } catch {
        disconnect("the server does not keep to the protocol: \(error)")
        continue
      }
      guard readsRemaining > 0 else { return nil }
      readsRemaining -= 1
      switch link.receive() {
      case .some: continue
      case .nothing: if !giveUpWhatIsLate() { return nil }
      case .ended(let reason): disconnect(reason)
      }
    }
  }

  private func takeGivenBytes() {
    link?.input.consume(givenBytes)
    givenBytes = 0
  }

  private func take(_ frame: NATSFrame) throws(NATSProtocolError) -> NATSEvent? {
    switch frame {
    case .info(let json): try takeInfo(json)
    case .ping: link?.output.appendPong()
    case .pong: takePong()
    case .ok: break
    case .error(let text): return takeError(String(decoding: text, as: UTF8.self))
    case .message(let message): return take(message)
    }
    return nil
  }

  private func takeInfo(_ json: UnsafeRawBufferPointer) throws(NATSProtocolError) {
    if phase == .greeting {
      // What lies behind the first INFO must not be there when TLS begins, so it is taken out first, as a copy.
      let copy = Array(json)
      takeGivenBytes()
      try copy.withBytes { json throws(NATSProtocolError) in try take(json) }
    } else {
      try take(json)
    }
  }

  private func takePong() {
    if phase == .introducing { return enter() }
    if !pingsMs.isEmpty { pingsMs.removeFirst() }
  }

  /// A server closes after most errors; permissions are the exception.
  private func takeError(_ text: String) -> NATSEvent? {
    if phase == .connected || phase == .introducing, text.lowercased().hasPrefix("permissions violation") {
      return .refused(reason: text)
    }
    disconnect("the server says '\(text)'")
    return nil
  }

  private func take(_ message: NATSMessage) -> NATSEvent? {
    guard message.subscription == 1 else { return .message(message) }
    guard message.subject.count > inbox.utf8.count, message.subject.starts(with: inbox.utf8),
      let number = Decimal.number(UnsafeRawBufferPointer(rebasing: message.subject[inbox.utf8.count...])),
      // None, when the reply comes after its call was given up.
      let place = calls.firstIndex(where: { $0.number == number })
    else { return nil }
    if calls[place].takesSeveral {
      calls[place].deadlineMs = nowMs &+ calls[place].timeoutMs
    } else {
      calls.remove(at: place)
    }
    return .reply(NATSCall(number: number), message)
  }
}
