// Heartbeats both ways, and how long a client may take.
//
// Holds: a client is only waited for while we read from it; time during which we do not read is not held against it, unless
// it is the client that does not read either.

import Primitives

/// What two sides of a connection agreed on, and what was heard and said since.
struct AMQPHeartbeat {
  /// Between heartbeats; 0: there are none.
  var intervalMs: Int64 = 0
  /// When something last came from the client.
  var heardMs: UnixMs = 0
  /// As of the last look: how much had been written, and how much sent.
  var written = 0
  var sent = 0

  init() {}

  init(seconds: Int64, nowMs: UnixMs) {
    intervalMs = seconds * 1000
    heardMs = nowMs
  }
}

extension AMQPSession {
  /// Something has come from the client.
  @inline(__always) func noteHeard() {
    heartbeat.heardMs = broker.nowMs
    // Without heartbeats the rest of a frame is waited for, but not for ever.
    if stage == .open, output.wakeUpMs == nil { output.wakeUpMs = broker.nowMs + AMQPLimits.unfinishedMs }
  }

  func startBeating() {
    heartbeat.heardMs = broker.nowMs
    heartbeat.written = output.end
    // Twice an interval, so that two of the client's are missed by a quarter of that time at most.
    if heartbeat.intervalMs > 0 { output.wakeUpMs = broker.nowMs + heartbeat.intervalMs / 2 }
  }

  func wakeUp(nowMs: UnixMs) {
    guard stage == .open else { return output.closeNow() }
    let isReading =
      !isWaiting && !services.engine.isBackedUp(settings.inFlightBytesMax)
      && output.bytes.count <= settings.unsentBytesMax
    let isStuck = output.bytes.count > settings.unsentBytesMax && output.sent == heartbeat.sent
    if !isReading, !isStuck { heartbeat.heardMs = nowMs }
    heartbeat.sent = output.sent
    if heartbeat.intervalMs > 0 { beat(nowMs) } else { lookForTheRest(nowMs) }
  }

  private func beat(_ nowMs: UnixMs) {
    if nowMs - heartbeat.heardMs > 2 * heartbeat.intervalMs { return output.closeNow() }
    if output.end == heartbeat.written { out.appendHeartbeat() }
    heartbeat.written = output.end
    output.wakeUpMs = nowMs + heartbeat.intervalMs / 2
  }

  private func lookForTheRest(_ nowMs: UnixMs) {
    guard frames.bufferedBytes > 0 || channels.inOrder.contains(where: { !$0.order.isComplete }) else { return }
    if nowMs - heartbeat.heardMs >= AMQPLimits.unfinishedMs { return output.closeNow() }
    output.wakeUpMs = heartbeat.heardMs + AMQPLimits.unfinishedMs
  }
}
