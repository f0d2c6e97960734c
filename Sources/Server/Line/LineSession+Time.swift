// How long a client may take: to say who it is, for the rest of a line, to acknowledge what came from a queue, and to rest.
//
// Holds: a wake-up stands at or before the first of the times that hold; it is not moved when one of them goes away, so that
// lines that come in pieces cost no timer each. Time in which the server does not read is not held against a client.

import LineProtocol
import Primitives

extension LineSession {
  /// A part of a line is there.
  @inline(__always) func expectRestOfLine() {
    guard lineStartMs == nil else { return }
    lineStartMs = broker.nowMs
    setNextWakeUp()
  }

  /// Sees to it that the session is woken when the first of the times is over.
  func setNextWakeUp() {
    guard let nextMs = [tellByMs, endLineByMs, speakByMs].compactMap({ $0 }).min() else { return }
    if output.wakeUpMs.map({ $0 > nextMs }) ?? true { output.wakeUpMs = nextMs }
  }

  /// By when it must have said who it is.
  private var tellByMs: UnixMs? { identity == nil ? strangerSinceMs + settings.handshakeTimeoutMs : nil }

  /// By when the line that has begun must have come in whole.
  private var endLineByMs: UnixMs? { lineStartMs.map { $0 + settings.requestTimeoutMs } }

  /// By when it must have sent something.
  private var speakByMs: UnixMs? { settings.lineIdleTimeoutMs > 0 ? heardMs + settings.lineIdleTimeoutMs : nil }

  func wakeUp(nowMs: UnixMs) {
    if let closeMs {
      // What it was told is sent, or cannot be, and it has not closed its end.
      if closeMs <= nowMs { output.closeNow() } else { output.wakeUpMs = closeMs }
      return
    }
    // It has ended its side, and gets the rest of its replies.
    if output.closesWhenSent { return }
    if !isRead { noteNotRead(nowMs) }
    if let tellByMs, tellByMs <= nowMs {
      let text = "no good 'token' came in \(settings.handshakeTimeoutMs) ms"
      return giveUp(Refusal(code: .unauthenticated, message: text))
    }
    if let endLineByMs, endLineByMs <= nowMs {
      return giveUp(Refusal.badRequest("the line did not come in whole in \(settings.requestTimeoutMs) ms"))
    }
    if let speakByMs, speakByMs <= nowMs {
      guard isWaitedFor else {
        services.counters.connectionsTimedOut += 1
        return output.closeNow()
      }
      heardMs = nowMs
    }
    if identity != nil { closeSlowChannel() }
    setNextWakeUp()
  }

  private func giveUp(_ refusal: Refusal) {
    services.counters.connectionsTimedOut += 1
    refuseAndClose(refusal)
  }

  /// Whether the server reads what the client sends.
  private var isRead: Bool {
    !isWaiting && !services.engine.isBackedUp(settings.inFlightBytesMax)
      && output.unsentBytes <= settings.unsentBytesMax
  }

  private func noteNotRead(_ nowMs: UnixMs) {
    heardMs = nowMs
    if lineStartMs != nil { lineStartMs = nowMs }
  }

  /// Whether it rests because it waits for messages.
  private var isWaitedFor: Bool {
    !consumers.isEmpty || !waiting.isEmpty || rocketMQSession?.producerGroups.isEmpty == false
  }
}
