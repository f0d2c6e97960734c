// Reading stored entries from whichever replica answers.
//
// Holds: what is given begins with the entry that was asked for and has no gaps. A replica that is behind says 404 for what is
// there, and one whose front was purged begins with a later entry without a word: in both cases the stream's leader is asked,
// and it is the leader's word that counts.

import NATS
import Primitives
import ReplicatedStream

/// A read under way.
final class Reading {
  let call: StreamCall
  let first: EntrySequence
  @exclusivity(unchecked) private(set) var entries: [StreamEntry] = []
  @exclusivity(unchecked) private(set) var bytes = 0

  init(_ call: StreamCall, from first: EntrySequence) {
    self.call = call
    self.first = first
  }

  var next: EntrySequence { first &+ UInt64(entries.count) }

  func take(_ payload: UnsafeRawBufferPointer) {
    entries.append(StreamEntry(sequence: next, previous: next &- 1, bytes: Array(payload)))
    bytes += payload.count
  }
}

extension JetStreamStream {
  // More than that in one answer would lie in memory for long.
  private static let readBytesMax = 8 << 20
  private static let readEntriesMax = 512

  func read(_ reading: Reading, maxBytes: Int) {
    let bounds = "\"batch\":\(Self.readEntriesMax),\"max_bytes\":\(min(maxBytes, Self.readBytesMax))"
    ask(
      "DIRECT.GET", "{\"seq\":\(reading.first),\(bounds),\"next_by_subj\":\"\(settings.subject)\"}",
      takesSeveral: true, for: .read(reading))
  }

  /// One message of the answer.
  func takePiece(_ message: NATSMessage, _ reading: Reading, _ call: NATSCall) {
    switch message.headers.status {
    case 0:
      guard let sequence = message.headers.number("Nats-Sequence") else { break }
      // Whatever a server sends, no more is kept than was asked for and one entry.
      if sequence == reading.next, reading.bytes < Self.readBytesMax { return reading.take(message.payload) }
      if sequence > reading.next, reading.entries.isEmpty { return askLeader(reading, call) }
    case 404 where reading.entries.isEmpty: return askLeader(reading, call)
    default: break
    }
    end(call)
    finish(reading)
  }

  private func end(_ call: NATSCall) {
    client.end(call)
    works.removeValue(forKey: call)
  }

  /// Gives what has come.
  func finish(_ reading: Reading) {
    events.append(.read(reading.call, reading.entries.isEmpty ? .unknown : .entries(reading.entries)))
  }

  private func askLeader(_ reading: Reading, _ call: NATSCall) {
    end(call)
    askBounds(for: .readBounds(reading.call, reading.first))
  }

  func takeBounds(_ info: StreamInfo, ofRead call: StreamCall, from first: EntrySequence) {
    if first < info.firstSequence { return events.append(.read(call, .truncated(first: info.firstSequence))) }
    if first > info.lastSequence { return events.append(.read(call, .nothingYet)) }
    ask("STREAM.MSG.GET", "{\"seq\":\(first)}", for: .readFromLeader(call, first))
  }

  func takeGiven(_ json: UnsafeRawBufferPointer, _ call: StreamCall, _ first: EntrySequence) {
    switch GivenMessage(json, jsonReader) {
    case .entry(let entry) where entry.sequence == first: events.append(.read(call, .entries([entry])))
    // Purged meanwhile, or the leader is another one now: the next read tells.
    default: events.append(.read(call, .unknown))
    }
  }
}
