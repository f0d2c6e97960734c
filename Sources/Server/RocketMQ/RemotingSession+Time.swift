// Answers that come later, and how long a client may be silent.
//
// Holds: a session is woken for the first of: the end of a pull's wait, an answer that was put off, the silence of its client. While
// none of them comes nothing is done.

import Primitives
import RemotingProtocol

/// An answer that is put off.
struct PutOffAnswer {
  let request: RequestReference
  let bytes: [UInt8]
  let atMs: UnixMs
}

extension RemotingSession {
  /// Whether one more answer may be owed to the client.
  var canHoldMore: Bool { held.count + putOffAnswers.count < RemotingLimits.heldMax }

  /// Sends an answer a little later.
  func putOff(_ bytes: [UInt8], _ request: RequestReference) {
    putOffAnswers.append(
      PutOffAnswer(request: request, bytes: bytes, atMs: broker.nowMs + RemotingLimits.putOffMs))
  }

  /// Refuses a request a little later.
  func putOff(_ code: ResponseCode, _ remark: String, _ request: RequestReference) {
    var bytes = ByteBuffer()
    bytes.appendResponse(code, to: request, remark: remark)
    putOff(Array(bytes.readable), request)
  }

  /// A part of a frame is there: the rest must follow in time.
  func expectRestOfFrame() {
    guard frameStartMs == nil else { return }
    frameStartMs = broker.nowMs
    planWakeUp()
  }

  /// Whether the rest of a frame stays away for too long, and not because it is not read.
  private func isFrameLate(_ nowMs: UnixMs) -> Bool {
    guard let frameStartMs, frameStartMs + settings.requestTimeoutMs <= nowMs else { return false }
    let isRead =
      !isWaiting && !services.engine.isBackedUp(settings.inFlightBytesMax)
      && output.unsentBytes <= settings.unsentBytesMax
    if !isRead { self.frameStartMs = nowMs }
    return isRead
  }

  func wakeUp(nowMs: UnixMs) {
    if let closeMs {
      if closeMs <= nowMs { output.closeNow() } else { output.wakeUpMs = closeMs }
      return
    }
    if isFrameLate(nowMs) {
      services.counters.connectionsTimedOut += 1
      return output.closeNow()
    }
    for answer in putOffAnswers where answer.atMs <= nowMs {
      output.register(RemotingToken(answer.request).bits)
      answer.bytes.withBytes { out.append($0) }
    }
    putOffAnswers.removeAll { $0.atMs <= nowMs }
    goOnWithPulls { $0.untilMs <= nowMs && !$0.waitsForDisk }
    if held.isEmpty, nowMs >= heardMs + RemotingLimits.silenceMs { return output.closeNow() }
    planWakeUp()
  }

  /// Asks to be woken in time. It may be earlier than needed: that is seen then.
  func planWakeUp() {
    let nowMs = broker.nowMs
    var nextMs = heardMs + RemotingLimits.silenceMs
    if let frameStartMs { nextMs = min(nextMs, frameStartMs + settings.requestTimeoutMs) }
    for answer in putOffAnswers { nextMs = min(nextMs, answer.atMs) }
    if !isDeliveryPaused {
      for pull in held where !pull.waitsForDisk { nextMs = min(nextMs, pull.untilMs) }
      // What was left because much was unsent.
      if !held.isEmpty, !answersSoFarAreSent { nextMs = nowMs }
    }
    // In the next turn at the earliest.
    nextMs = max(nextMs, nowMs + 1)
    if output.wakeUpMs.map({ nextMs < $0 }) ?? true { output.wakeUpMs = nextMs }
  }
}
