// What a session writes to its peer, held back until it is true, and what it asks of its connection.
//
// Holds: bytes go out in order. Bytes before `sendable` may go now; the others wait until the journal sequence of their gate
// is settled. Everything that one turn writes waits for the latest gate of that turn. The token of each reply whose gate has
// not opened is kept, in the order of the replies. A delivery that may be shown at once overtakes what waits, as far as the
// session allows it (`allowsOvertaking`): an acknowledgement that waits for the disk must not hold up the next message.
// Leaves to others: the socket (Server+Sending), what bytes and tokens mean (the session).

import Broker
import Primitives

/// The outgoing side of a connection.
final class Output {
  /// Bytes up to `end` wait for `sequence`, and those before them for the barrier before.
  private struct Barrier {
    var end: Int
    /// Replies since the beginning, up to this barrier.
    var replies: Int
    let sequence: Sequence
    /// When the turn began that wrote the first of them, in µs since boot.
    let turnUs: Int64
  }

  /// Bytes that have not been sent. A session appends, and cuts back only what it has appended in the same call.
  @exclusivity(unchecked) var bytes = ByteBuffer()
  /// Deliveries that overtake: they are sent when everything before `sendable` is.
  @exclusivity(unchecked) private var overtaking = ByteBuffer()
  /// Whether a part of `overtaking` has been sent.
  @exclusivity(unchecked) private var isMidway = false
  /// Nothing that comes later may be sent before what was written up to here, counted like `sent`.
  @exclusivity(unchecked) private var fence = 0
  /// Bytes sent since the beginning, without those that overtook.
  @exclusivity(unchecked) private(set) var sent = 0
  /// How far bytes may be sent, counted like `sent`.
  @exclusivity(unchecked) private var sendable = 0
  @exclusivity(unchecked) private var barriers: [Barrier] = []
  /// What the bytes that this turn has written wait for.
  @exclusivity(unchecked) private(set) var turnGate = Gate.open
  @exclusivity(unchecked) private var tokens: [UInt64] = []
  /// Replies since the beginning whose tokens are not kept any more.
  @exclusivity(unchecked) private var repliesDone = 0

  /// Whether the connection is to be closed when everything is sent.
  private(set) var closesWhenSent = false
  /// Whether the connection is to be closed at once.
  private(set) var closesNow = false
  /// When the session wants to be woken, in Unix ms of service time.
  var wakeUpMs: UnixMs?

  // MARK: For sessions

  /// Bytes written since the beginning: the position of the next byte in all that the peer gets, but for what overtakes.
  var end: Int { sent + bytes.count }

  /// Bytes that have not been sent.
  var unsentBytes: Int { bytes.count + overtaking.count }

  /// Memory for what has not been sent.
  var allocatedBytes: Int { bytes.allocatedBytes + overtaking.allocatedBytes }

  /// Nothing that is written later may be sent before what has been written so far.
  @inline(__always) func closeToOvertaking() { fence = end }

  /// Registers a reply that begins at `end`. Should the store fail before its gate opens, the session is given the token and
  /// answers anew.
  @inline(__always) func register(_ token: UInt64) { tokens.append(token) }

  /// Holds what this turn writes until `gate` opens.
  @inline(__always) func hold(until gate: Gate) { turnGate = max(turnGate, gate) }

  /// What has been written so far, for `takeBack`.
  struct Mark {
    fileprivate let end: Int
    fileprivate let replies: Int
  }

  /// The place to which `takeBack` returns.
  var mark: Mark { Mark(end: end, replies: repliesDone + tokens.count) }

  /// Takes back what was written and registered since the mark, in the same call of the session.
  func takeBack(to mark: Mark) {
    bytes.truncate(to: mark.end - sent)
    tokens.removeLast(repliesDone + tokens.count - mark.replies)
  }

  /// Asks for the connection to be closed once everything is sent; nothing is read any more.
  func closeWhenSent() { closesWhenSent = true }

  /// Asks for the connection to be closed at once, whatever has not been sent.
  func closeNow() { closesNow = true }

  // MARK: For the loop

  /// Whether something waits for a gate.
  var hasBarriers: Bool { !barriers.isEmpty }

  /// Whether something waits for a gate that is not settled, this turn's included.
  func isGated(settled: Sequence) -> Bool { hasBarriers || turnGate.sequence > settled }

  /// The turn has ended with the record `sequence`.
  func resolveEndOfTurn(_ sequence: Sequence) { if turnGate == .endOfTurn { turnGate = Gate(sequence) } }

  /// Writes a delivery that waits for `gate`; in front of what waits, when that is allowed and the gate is open.
  @inline(__always)
  func deliver(behind gate: Gate, settled: Sequence, mayOvertake: Bool, _ write: () -> Void) {
    if mayOvertake, fence <= sendable, gate.sequence <= settled, isGated(settled: settled) {
      swap(&bytes, &overtaking)
      write()
      swap(&bytes, &overtaking)
    } else {
      hold(until: gate)
      write()
      closeToOvertaking()
    }
  }

  /// Puts what this turn wrote behind its gate.
  ///
  /// - Parameter turnUs: when the turn began, in µs since boot.
  func closeTurn(settled: Sequence, turnUs: Int64) {
    defer { turnGate = .open }
    let sequence = turnGate.sequence
    let replies = repliesDone + tokens.count
    if sequence > settled, sequence > (barriers.last?.sequence ?? 0) {
      guard end > (barriers.last?.end ?? sendable) else { return }
      barriers.append(Barrier(end: end, replies: replies, sequence: sequence, turnUs: turnUs))
    } else if let last = barriers.indices.last {
      barriers[last].end = end
      barriers[last].replies = replies
    } else {
      // A gate that is open already; it counts as opened in this moment.
      barriers.append(Barrier(end: end, replies: replies, sequence: 0, turnUs: turnUs))
    }
  }

  /// Opens the gates that are settled, and notes how long replies took.
  ///
  /// - Parameters:
  ///   - nowUs: the time since boot.
  ///   - replyUs: gets the time from the turn that took the request to now, for each reply.
  func open(settled: Sequence, nowUs: Int64, _ replyUs: inout Histogram) {
    var passed = 0
    var replies = repliesDone
    while passed < barriers.count, barriers[passed].sequence <= settled {
      let count = barriers[passed].replies - replies
      if count > 0 { replyUs.add(nowUs - barriers[passed].turnUs, times: count) }
      replies = barriers[passed].replies
      passed += 1
    }
    guard passed > 0 else { return }
    sendable = barriers[passed - 1].end
    forgetTokens(before: barriers[passed - 1].replies)
    barriers.removeFirst(passed)
  }

  private func forgetTokens(before replies: Int) {
    let count = replies - repliesDone
    repliesDone = replies
    if count == tokens.count {
      tokens.removeAll(keepingCapacity: count <= 1024)
    } else {
      tokens.removeFirst(count)
    }
  }

  /// What overtakes goes where a turn's bytes end, and then as a whole.
  private var isOvertakingNow: Bool { isMidway || (sendable == sent && !overtaking.isEmpty) }

  /// Bytes that may be sent now, perhaps not all of them.
  var readyBytes: UnsafeRawBufferPointer {
    if isOvertakingNow { return overtaking.readable }
    return UnsafeRawBufferPointer(rebasing: bytes.readable[..<(sendable - sent)])
  }

  /// The first `count` of `readyBytes` have been sent.
  func didSend(_ count: Int) {
    if isOvertakingNow {
      overtaking.consume(count)
      isMidway = !overtaking.isEmpty
      if !isMidway { overtaking.shrink(keepingBytes: 4096) }
      return
    }
    bytes.consume(count)
    sent += count
    if bytes.isEmpty { bytes.shrink(keepingBytes: 4096) }
  }

  /// What waits for gates that will never open, taken out together with the gates.
  func takeLost() -> LostOutput {
    let lost = LostOutput(tokens: tokens, bytes: Array(bytes.readable[(sendable - sent)...]), start: sendable)
    bytes.truncate(to: sendable - sent)
    barriers = []
    turnGate = .open
    repliesDone += tokens.count
    tokens = []
    return lost
  }
}

/// Output that was never sent because its gate will not open.
struct LostOutput {
  /// The tokens of the replies in it, in their order.
  let tokens: [UInt64]
  /// All of it: replies, deliveries and whatever else stood between them.
  let bytes: [UInt8]
  /// The position of the first byte in all that was written on the connection, as `Output.end` counts.
  let start: Int
}
