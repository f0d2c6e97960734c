// Heartbeats both ways, how long a client may take, and how long it may keep a delivery.
//
// Holds: a client is only waited for while we read from it; time during which we do not read is not held against it, unless
// it is the client that does not read either.

import AMQPProtocol
import Primitives
import RabbitMQFrontEnd

/// What two sides of a connection agreed on, and what was heard and said since.
struct AMQPHeartbeat {
  /// Between heartbeats; 0: there are none.
  var intervalMs: Int64 = 0
  /// When something last came from the client.
  var heardMs: UnixMs = 0
  /// As of the last look: how much had been written, and how much sent.
  var written = 0
  var sent = 0
  /// When to look again; nil while nothing is expected.
  var nextLookMs: UnixMs?

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
    if stage == .open, heartbeat.nextLookMs == nil { look(atMs: broker.nowMs + AMQPLimits.unfinishedMs) }
  }

  func startBeating() {
    heartbeat.heardMs = broker.nowMs
    heartbeat.written = output.end
    // Twice an interval, so that two of the client's are missed by a quarter of that time at most.
    look(atMs: heartbeat.intervalMs > 0 ? broker.nowMs + heartbeat.intervalMs / 2 : nil)
  }

  private func look(atMs: UnixMs?) {
    heartbeat.nextLookMs = atMs
    setWakeUp()
  }

  /// On an open connection: wakes up for whatever comes first.
  private func setWakeUp() {
    let atMs = min(heartbeat.nextLookMs ?? .max, nextTimeoutMs)
    output.wakeUpMs = atMs == .max ? nil : atMs
  }

  func wakeUp(nowMs: UnixMs) {
    guard stage == .open else { return output.closeNow() }
    if let lookMs = heartbeat.nextLookMs, lookMs <= nowMs {
      heartbeat.nextLookMs = nil
      lookAfterClient(nowMs)
    }
    if nextTimeoutMs <= nowMs { closeSlowChannels() }
    setWakeUp()
  }

  // MARK: The client

  private func lookAfterClient(_ nowMs: UnixMs) {
    let isReading =
      !isWaiting && !services.engine.isBackedUp(settings.inFlightBytesMax)
      && output.unsentBytes <= settings.unsentBytesMax
    let isStuck = output.unsentBytes > settings.unsentBytesMax && output.sent == heartbeat.sent
    if !isReading, !isStuck { heartbeat.heardMs = nowMs }
    heartbeat.sent = output.sent
    if heartbeat.intervalMs > 0 { beat(nowMs) } else { lookForTheRest(nowMs) }
  }

  private func beat(_ nowMs: UnixMs) {
    if nowMs - heartbeat.heardMs > 2 * heartbeat.intervalMs { return output.closeNow() }
    if output.end == heartbeat.written { out.appendHeartbeat() }
    heartbeat.written = output.end
    heartbeat.nextLookMs = nowMs + heartbeat.intervalMs / 2
  }

  private func lookForTheRest(_ nowMs: UnixMs) {
    guard frames.bufferedBytes > 0 || channels.inOrder.contains(where: { !$0.order.isComplete }) else { return }
    if nowMs - heartbeat.heardMs >= AMQPLimits.unfinishedMs { return output.closeNow() }
    heartbeat.nextLookMs = heartbeat.heardMs + AMQPLimits.unfinishedMs
  }

  // MARK: Deliveries

  /// A delivery has been written: it may be kept for so long.
  @inline(__always) func noteTimeout(of channel: AMQPChannel) {
    guard channel.operations.nextTimeoutMs < nextTimeoutMs else { return }
    nextTimeoutMs = channel.operations.nextTimeoutMs
    setWakeUp()
  }

  private func closeSlowChannels() {
    nextTimeoutMs = .max
    for channel in channels.inOrder where !channel.isClosing {
      if let timeoutMs = channel.operations.findTimeout() {
        let refusal = RabbitMQChannel.timedOut("channel \(channel.number)", timeoutMs: timeoutMs)
        refuse(AMQPFault(.preconditionFailed, refusal.explanation(virtualHost: rabbitMQ.virtualHost.name)), on: channel)
      } else {
        nextTimeoutMs = min(nextTimeoutMs, channel.operations.nextTimeoutMs)
      }
    }
  }
}
