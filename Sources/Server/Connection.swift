// One client: its bytes in, its bytes out, and what it has asked for that is not over.
//
// Holds: bytes go out in order; bytes before `sendable` may go now, the others wait until the journal sequence of their gate
// is settled. Lines are taken in order, and none while `blocked` holds one that waits for the disk.
// Leaves to others: the socket calls (Server+Connections), what the lines mean (the operation table).

import Broker
import LineProtocol
import Platform
import Primitives
import RocketMQFrontEnd

/// A client connection.
final class Connection {
  /// Bytes up to `end` wait for `sequence`, and those before them for the gate before.
  struct Barrier {
    var end: Int
    let sequence: Sequence
  }

  let descriptor: Int32
  let key: UInt64
  @exclusivity(unchecked) var framer: LineFramer
  @exclusivity(unchecked) var out = ByteBuffer()
  /// Bytes sent since the beginning.
  @exclusivity(unchecked) private(set) var sent = 0
  @exclusivity(unchecked) private(set) var barriers: [Barrier] = []
  @exclusivity(unchecked) private(set) var sendable = 0
  /// What the bytes that this turn wrote must wait for.
  @exclusivity(unchecked) var turnGate = Gate.open
  @exclusivity(unchecked) var isTouched = false
  var hasBarriers: Bool { !barriers.isEmpty }

  @exclusivity(unchecked) var isAuthenticated: Bool
  /// A line that is given again when the disk has answered.
  @exclusivity(unchecked) var blocked: [UInt8]?
  /// A fetch whose reply must come before anything else's; its token.
  @exclusivity(unchecked) var blockingFetch: UInt64?
  /// The peer has ended its side.
  var inputEnded = false
  /// Nothing is read any more; closed when everything is sent.
  var isClosing = false
  /// Bytes thrown away since it is closing.
  var discardedBytes = 0
  var isReadingPaused = false
  var isDeliveryPaused = false
  var wantsWrite = false
  var isGone = false
  var interest: Readiness = .readable

  @exclusivity(unchecked) var consumers: [Int64: Consumer] = [:]
  var fetchers: [Consumer] = []
  var nextSub: Int64 = 1
  /// Its RocketMQ side, once it has one.
  var rocketMQ: RocketMQSession?
  /// What it has from the RabbitMQ front end.
  var rabbitMQ: RabbitMQConnection?
  /// The `rid` of each waiting fetch, as it stood on the line.
  var fetchRids: [UInt64: [UInt8]] = [:]

  init(descriptor: Int32, key: UInt64, lineBytesMax: Int, isAuthenticated: Bool) {
    self.descriptor = descriptor
    self.key = key
    framer = LineFramer(maxLineBytes: lineBytesMax)
    self.isAuthenticated = isAuthenticated
  }

  /// Whether lines must wait.
  var isBlocked: Bool { blocked != nil || blockingFetch != nil }

  private var end: Int { sent + out.count }

  /// Puts what this turn wrote behind its gate.
  func closeTurn(settled: Sequence) {
    defer { turnGate = .open }
    let sequence = turnGate.sequence
    if sequence > settled, sequence > (barriers.last?.sequence ?? 0) {
      if end > (barriers.last?.end ?? sendable) { barriers.append(Barrier(end: end, sequence: sequence)) }
    } else if let last = barriers.indices.last {
      barriers[last].end = end
    } else {
      sendable = end
    }
  }

  /// Opens the gates that are settled.
  func open(settled: Sequence) {
    var passed = 0
    while passed < barriers.count, barriers[passed].sequence <= settled {
      sendable = barriers[passed].end
      passed += 1
    }
    barriers.removeFirst(passed)
  }

  /// Bytes that may be sent now.
  var readyBytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: out.readable[..<(sendable - sent)]) }

  func didSend(_ count: Int) {
    out.consume(count)
    sent += count
    if out.isEmpty { out.shrink(keepingBytes: 4096) }
  }

  /// The bytes behind gates that will never open; forgets them and the gates.
  func takeGatedBytes() -> [UInt8] {
    let gated = Array(out.readable[(sendable - sent)...])
    out.truncate(to: sendable - sent)
    barriers = []
    return gated
  }
}
