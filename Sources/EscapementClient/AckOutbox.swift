// Acknowledgements waiting to be sent, gathered into one line for each topic and group.
//
// Holds: acks survive until a connection has taken them; nacks and touches do not outlive the connection, since its loss
// already makes the server deliver again.
// Leaves to others: when to send (the client: with the next request, or at once when nothing else is going out).

import Dispatch
import Synchronization

final class AckOutbox: Sendable {
  enum Verdict: Hashable, Sendable {
    case ack
    case nack(delayMs: Int64?)
    case touch
  }

  private struct Target: Hashable {
    var verdict: Verdict
    var topic: String
    var group: String
  }

  private struct State {
    var offsets: [Target: [UInt64]] = [:]
    var isScheduled = false
  }

  // Some 20 bytes an offset: lines far below any server's limit.
  private static let offsetsALineMax = 4_096

  private let state = Mutex(State())
  private let queue = DispatchQueue(label: "escapement.client.acks")
  private let send: @Sendable () -> Void

  /// - Parameter send: called soon after something was added; should call `take` and send what it gives.
  init(send: @escaping @Sendable () -> Void) { self.send = send }

  func add(_ verdict: Verdict, topic: String, group: String, offset: UInt64) {
    let mustSchedule = state.withLock { state in
      state.offsets[Target(verdict: verdict, topic: topic, group: group), default: []].append(offset)
      defer { state.isScheduled = true }
      return !state.isScheduled
    }
    // Acknowledgements added before the queue runs share the line: under load these are many.
    if mustSchedule { queue.async { self.send() } }
  }

  /// Everything gathered, as requests with replies; the outbox is empty then.
  func take() -> [RequestLine] {
    let offsets = state.withLock { state in
      state.isScheduled = false
      defer { state.offsets = [:] }
      return state.offsets
    }
    return offsets.flatMap { target, offsets in
      stride(from: 0, to: offsets.count, by: Self.offsetsALineMax).map { start in
        line(target, offsets[start..<min(start + Self.offsetsALineMax, offsets.count)])
      }
    }
  }

  /// Forgets nacks and touches: the connection they belonged to is gone.
  func dropAllButAcks() {
    state.withLock { state in
      state.isScheduled = false
      state.offsets = state.offsets.filter { $0.key.verdict == .ack }
    }
  }

  private func line(_ target: Target, _ offsets: ArraySlice<UInt64>) -> RequestLine {
    var line: RequestLine
    switch target.verdict {
    case .ack: line = RequestLine("ack")
    case .touch: line = RequestLine("touch")
    case .nack(let delayMs):
      line = RequestLine("nack")
      line.set("delayMs", delayMs)
    }
    line.set(topic: target.topic)
    line.set("group", target.group)
    line.set("offsets", offsets: offsets)
    return line
  }
}
