// One connection: its descriptor, its session, and where it stands between reading, waiting, closing and gone.
//
// Holds: nothing is read while it is held back or its session waits; nothing is delivered while too much is unsent.
// Leaves to others: what bytes mean (its session), what may be sent when (its output), the calls (Server+Receiving,
// Server+Sending).

import Platform
import Primitives
import TimingWheel

/// A connection.
final class Connection {
  let descriptor: Int32
  /// Its number among all connections since the start, from 1.
  let key: UInt64
  /// Where the client is.
  let peer: PeerAddress
  let session: Session
  let output: Output
  /// Its TLS; nil when it is plain.
  let secure: SecureSide?

  /// Whether the loop is to look after it at the end of this turn.
  @exclusivity(unchecked) var isTouched = false
  /// The peer has ended its side.
  var inputEnded = false
  /// Bytes thrown away since it is closing.
  var discardedBytes = 0
  /// Commands are held back: the journal is behind, or its own output is.
  var isReadingPaused = false
  /// It stands in the loop's list of connections that go on as soon as they may.
  var isHeldBack = false
  /// Its session had commands that could not be taken because an earlier one waits.
  @exclusivity(unchecked) var isBehindWaiting = false
  var isDeliveryPaused = false
  var wantsWrite = false
  /// Its session has let go of everything.
  var hasEnded = false
  var isGone = false
  /// What the network is asked to tell about it.
  var interest: Readiness = .readable
  /// The timer for `wakeUpMs`, and the time that it was set to.
  var wakeUp: (timer: TimerID, atMs: UnixMs)?

  init(
    descriptor: Int32, key: UInt64, peer: PeerAddress, session: Session, output: Output, secure: SecureSide? = nil
  ) {
    self.descriptor = descriptor
    self.key = key
    self.peer = peer
    self.session = session
    self.output = output
    self.secure = secure
  }

  /// When it is to be looked after, whatever happens until then.
  var wakeUpMs: UnixMs? { secure?.openByMs ?? output.wakeUpMs }

  /// What the network tells this connection from an earlier one of the same descriptor by.
  var generation: UInt32 { UInt32(truncatingIfNeeded: key) }
}
