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

  func wakeUp(nowMs: UnixMs) {
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
