// What answers mean for the calls that they belong to.
//
// Holds: each call ends once. What cannot be understood counts as no answer.

import NATS
import Primitives
import ReplicatedStream

extension JetStreamStream {
  func take(_ message: NATSMessage, for call: NATSCall) {
    guard let work = works[call] else { return }
    switch work {
    case .read(let reading): return takePiece(message, reading, call)
    case .report: return takeReport(message, call)
    default: break
    }
    works.removeValue(forKey: call)
    // Nobody is there who could answer.
    if message.headers.status != 0 { return takeNothing(for: work) }
    switch work {
    case .append(let call, let last): takeAppended(message.payload, call, expecting: last)
    case .last, .readBounds, .truncateBounds: takeBounds(message.payload, for: work)
    case .readFromLeader(let call, let first): takeGiven(message.payload, call, first)
    case .purge: takePurged(message.payload, for: work)
    case .look: takeLook(message.payload, wasMade: false)
    case .make: takeLook(message.payload, wasMade: true)
    case .read, .report: break
    }
  }

  /// A call has ended without an answer.
  func takeNothing(for work: Work) {
    switch work {
    case .append(let call, _): events.append(.appended(call, .unknown))
    case .read(let reading): finish(reading)
    case .readBounds(let call, _), .readFromLeader(let call, _): events.append(.read(call, .unknown))
    case .last(let call): events.append(.last(call, .unknown))
    case .truncateBounds(let call, _), .purge(let call, _, _): events.append(.truncated(call, .unknown))
    case .look, .make: if client.isConnected { tryAgain("no answer about the stream") }
    case .report: if client.isConnected { judgeReports() }
    }
  }

  private func takeAppended(_ json: UnsafeRawBufferPointer, _ call: StreamCall, expecting last: EntrySequence) {
    events.append(.appended(call, appendOutcome(ShortReply(json, jsonReader), expecting: last)))
  }

  private func appendOutcome(_ reply: ShortReply?, expecting last: EntrySequence) -> AppendOutcome {
    guard let reply else { return .unknown }
    if let error = reply.error {
      switch error.number {
      case StreamError.wrongLastSequence: return .refused(last: error.lastSequence)
      case StreamError.isFull: return .full
      case let number where StreamError.needsResources.contains(number): tell(Problem.resources(settings, error))
      default: break
      }
      return .unknown
    }
    // Anything else than the place that was expected would be another stream's answer.
    let isOurs = reply.stream == settings.name && reply.sequence == last &+ 1 && !reply.isDuplicate
    return isOurs ? .stored(reply.sequence) : .unknown
  }

  // MARK: Bounds

  private func takeBounds(_ json: UnsafeRawBufferPointer, for work: Work) {
    guard let info = StreamInfo(json, jsonReader), info.error == nil else { return takeNothing(for: work) }
    switch work {
    case .last(let call):
      events.append(.last(call, .last(first: info.firstSequence, last: info.lastSequence, bytes: info.bytes)))
    case .readBounds(let call, let first): takeBounds(info, ofRead: call, from: first)
    case .truncateBounds(let call, let below): purgeStep(info, call, below: below)
    default: break
    }
  }

  // MARK: Truncation

  // A step holds up appends for 11 to 41 ms; 32 MB did so for more than 200.
  private static let purgeStepBytes: UInt64 = 8 << 20

  private func purgeStep(_ info: StreamInfo, _ call: StreamCall, below wanted: EntrySequence) {
    // Never all of it.
    let below = min(wanted, info.lastSequence)
    guard info.firstSequence < below else { return events.append(.truncated(call, .done)) }
    let entryBytes = max(1, info.bytes / max(1, info.messages))
    let step = max(1, Self.purgeStepBytes / entryBytes)
    let (end, isFar) = info.firstSequence.addingReportingOverflow(step)
    let stepEnd = isFar ? below : min(end, below)
    ask(
      "STREAM.PURGE", "{\"seq\":\(stepEnd)}", timeoutMs: settings.purgeTimeoutMs,
      for: .purge(call, below: wanted, isLast: stepEnd == below))
  }

  private func takePurged(_ json: UnsafeRawBufferPointer, for work: Work) {
    guard case .purge(let call, let below, let isLast) = work else { return }
    guard let reply = ShortReply(json, jsonReader), reply.error == nil, reply.isSuccess else {
      return takeNothing(for: work)
    }
    if isLast { return events.append(.truncated(call, .done)) }
    askBounds(for: .truncateBounds(call, below: below))
  }
}
