// Puts the answers of several shards into the order of their requests.
//
// A client's requests go to shards as they come, and each shard answers in order. When the next request goes elsewhere, a `ping`
// with an `rid` that nobody else can have is sent behind the last one: its answer says that all before it are there. What
// another shard answers meanwhile is held.
//
//   parts: [ shard 2 up to marker 7 | own answer | shard 5 up to marker 8 | shard 2, open ]
//
// Holds: pushed lines pass at once. An answer that comes when no part waits for its shard is that of a fetch which has
// waited, and passes at once, too.
// Leaves to others: sending.

import Primitives

/// The order of one client's answers.
struct ReplyOrder {
  private enum Part {
    /// Bytes of the node itself.
    case own([UInt8])
    /// What this shard answers, up to the marker; nil while requests still go there.
    case shard(Int, marker: UInt64?)
  }

  /// Begins the `rid` of every marker.
  let secret: String
  private var parts: [Part] = []
  private var lastMarker: UInt64 = 0
  /// Lines that came before their time, by shard.
  private var held: [Int: [[UInt8]]] = [:]
  /// Bytes of them.
  private(set) var heldBytes = 0

  /// - Parameter secret: what no client can guess; letters and digits.
  init(secret: String) { self.secret = secret }

  /// A marker that is to be sent.
  struct Marker: Equatable {
    let shard: Int
    let line: String
  }

  // MARK: Requests

  /// The next request goes to a shard. Gives the marker that must be sent before it, if any.
  mutating func requestGoes(to shard: Int) -> Marker? {
    if case .shard(shard, marker: nil)? = parts.last { return nil }
    defer { parts.append(.shard(shard, marker: nil)) }
    return closeLast()
  }

  /// The next request is answered by the node. Gives the marker that must be sent first, and whether the answer may be sent at
  /// once; else it is given out by `take` later.
  mutating func answers(_ bytes: [UInt8]) -> (marker: Marker?, isDue: Bool) {
    if parts.isEmpty { return (nil, true) }
    let marker = closeLast()
    parts.append(.own(bytes))
    heldBytes += bytes.count
    return (marker, false)
  }

  private mutating func closeLast() -> Marker? {
    guard case .shard(let shard, marker: nil)? = parts.last else { return nil }
    lastMarker += 1
    parts[parts.count - 1] = .shard(shard, marker: lastMarker)
    return Marker(shard: shard, line: "{\"op\":\"ping\",\"rid\":\"\(secret).\(lastMarker)\"}\n")
  }

  // MARK: Answers

  /// Whether whole lines of this shard may pass without being looked at.
  func isOpen(for shard: Int) -> Bool {
    guard parts.count == 1, case .shard(shard, marker: nil) = parts[0] else { return false }
    return true
  }

  /// Takes a line of a shard, with its newline; gives what may be sent to `send`.
  mutating func take(_ line: UnsafeRawBufferPointer, from shard: Int, _ send: (UnsafeRawBufferPointer) -> Void) {
    if line.starts(with: "{\"event\"".utf8) { return send(line) }
    if case .shard(shard, let marker)? = parts.first {
      guard let found = self.marker(in: line) else { return send(line) }
      precondition(marker == found, "a shard answers markers in the order in which they were sent")
      parts.removeFirst()
      return goOn(send)
    }
    let isAwaited = parts.contains { part in
      if case .shard(shard, _) = part { true } else { false }
    }
    guard isAwaited else { return send(line) }
    held[shard, default: []].append(Array(line))
    heldBytes += line.count
  }

  /// The part in front is done: what was held for the next ones passes.
  private mutating func goOn(_ send: (UnsafeRawBufferPointer) -> Void) {
    while let first = parts.first {
      switch first {
      case .own(let bytes):
        heldBytes -= bytes.count
        bytes.withUnsafeBytes(send)
        parts.removeFirst()
      case .shard(let shard, let marker):
        guard passHeld(of: shard, upTo: marker, send) else { return }
        parts.removeFirst()
      }
    }
  }

  /// Whether the marker was found.
  private mutating func passHeld(
    of shard: Int, upTo marker: UInt64?, _ send: (UnsafeRawBufferPointer) -> Void
  ) -> Bool {
    let lines = held[shard] ?? []
    for (place, line) in lines.enumerated() {
      heldBytes -= line.count
      let found = line.withUnsafeBytes { bytes in
        let found = self.marker(in: bytes)
        if found == nil { send(bytes) }
        return found
      }
      guard let found else { continue }
      precondition(marker == found, "a shard answers markers in the order in which they were sent")
      held[shard] = Array(lines[(place + 1)...])
      return true
    }
    held[shard] = nil
    return false
  }

  /// The number of the marker that the line answers; nil when it answers something else.
  private func marker(in line: UnsafeRawBufferPointer) -> UInt64? {
    let start = "{\"ok\":true,\"rid\":\"\(secret)."
    guard line.count < 256, line.starts(with: start.utf8) else { return nil }
    let digits = line.dropFirst(start.utf8.count).prefix { $0 != UInt8(ascii: "\"") }
    return UInt64(String(decoding: digits, as: UTF8.self))
  }
}
