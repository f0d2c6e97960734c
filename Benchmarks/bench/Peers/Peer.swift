// A program that keeps messages back until their time, as the comparison sees it: something that can be started, asked to
// schedule, and listened to.
//
// Holds: it listens on loopback, keeps its files in a folder of its own, and is set so that a reply stands for stable storage, as
// far as it can be; `stop` leaves nothing behind.

import Primitives

protocol Peer: AnyObject {
  /// A connection that schedules.
  func scheduler() -> any PeerScheduler
  /// A connection that receives what has become due, from the beginning.
  func receiver() -> any PeerReceiver
  func stop()
}

protocol PeerScheduler: AnyObject {
  var connection: LineConnection { get }
  /// Writes the request that schedules a message; its due time is `delayMs` from now. Gives the due time that it asked for.
  func schedule(_ number: Int, delayMs: Int, to out: inout ByteBuffer)
  /// Writes what the wire needs at the end of a piece that is sent at once.
  func endPiece(to out: inout ByteBuffer)
  /// Takes the replies that were received; how many messages they stand for.
  func takeReplies() -> Int
}

extension PeerScheduler {
  func endPiece(to out: inout ByteBuffer) {}
}

protocol PeerReceiver: AnyObject {
  /// Waits some milliseconds for messages; `use` gets bytes in which their bodies lie whole.
  func receive(_ use: (UnsafeRawBufferPointer) -> Void)
}

/// A kind of peer: how it is called, what must be installed, and how it is started.
struct PeerKind: Sendable {
  let name: String
  /// How it is set, for the report.
  let settings: String
  var isOurs = false
  /// The program that must be there, nil for ours, and what brings it.
  let program: String?
  let package: String
  /// Starts it on a folder.
  let start: @Sendable (_ folder: String, _ flags: Flags) -> any Peer

  var isInstalled: Bool { program.map { PeerProcess.find($0) != nil } ?? true }

  static let all =
    [EscapementPeer.kind, RedisPeer.always, RedisPeer.everySecond, BeanstalkdPeer.always, BeanstalkdPeer.standard]
    + [NATSPeer.kind, RabbitMQPeer.kind, PostgreSQLPeer.kind]
}
