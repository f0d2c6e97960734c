// The seam of the wire: what the server needs of a wire protocol, and all that it knows of one.
//
// A session is one protocol on one connection. Bytes go in and become commands to the broker or a front end; results,
// deliveries, notices, the failure of the store and the end of the connection come out as bytes.
//
// Holds, for every session:
//   - It is called by the loop only, between the beginning and the end of a turn (but for `init`), never from within another
//     call. Pointers that the broker gives are good until the next turn.
//   - It writes to its `Output` only, and registers each reply there. What a reply tells of must not be seen before it is
//     durable: after each command the session holds its output until the gate that came with the result.
//   - After `end` nothing is delivered to it and it is given no more commands; it may still write (`storeFailed`).
// Leaves to the loop: reading and writing, gates, back-pressure, when commands are taken, timers.

import Access
import Broker
import Primitives

/// A wire protocol on one connection.
protocol WireSession: AnyObject {
  /// What a client gets that is turned away because there are too many connections; nothing else follows.
  static func turnAway(_ reason: String, to bytes: inout ByteBuffer)

  // MARK: Commands

  /// Bytes have come. The session keeps them; its commands are taken by `performNext`. Not called while `isWaiting`, nor after
  /// it has asked for its connection to be closed.
  func receive(_ bytes: UnsafeRawBufferPointer)

  /// Performs the next command that has come in whole, and writes its reply or keeps in mind to write it later.
  ///
  /// Called again and again after `receive`, unless the session is waiting or closing; with pauses, in later turns, when the
  /// journal or the connection's own output is behind.
  /// - Returns: false when no whole command is there.
  func performNext() -> Bool

  /// Whether the next command has to wait: an earlier one was stopped by `waitForDisk`, or its answer must come first. While
  /// true nothing is read and `performNext` is not called. When a later call makes it false, commands go on in the next turn.
  var isWaiting: Bool { get }

  /// What a command waited for has been read from disk: gives it to the broker again. Called at the beginning of a turn, once
  /// for each `Notice.retry`; the session may find that it has nothing to give again.
  func retry()

  // MARK: What the broker says, at the end of a turn and in the order in which it happened

  /// A message for one of the session's consumers. The loop has held the output until it may be shown.
  func deliver(_ delivery: Delivery)

  /// A fetch of the session's that waited is answered, perhaps with nothing. The loop has held the output for the messages.
  func fetched(_ consumer: Consumer, token: UInt64, _ deliveries: [Delivery])

  /// Messages left by retention before this consumer had them.
  func truncated(_ consumer: Consumer, from: TopicOffset, to: TopicOffset)

  /// The topic or queue of this consumer was deleted, and the broker has forgotten the consumer.
  func ended(_ consumer: Consumer)

  /// Something was appended to a topic that the session watched, or it was deleted. Only for sessions that watch topics.
  func grown(_ topic: Topic)

  /// The session answers for the owner of a held message, and is to ask it what shall become of the message.
  func askAbout(_ number: HeldNumber)

  /// New messages are refused from now on because the disk is nearly full, or are taken again.
  func newMessagesAreRefused(_ isRefused: Bool)

  /// The last call of a turn in which the session was given anything: the time to write what was gathered, such as one confirm
  /// for many messages.
  func turnEnds()

  /// Bytes of input that it keeps because more is to come.
  var inputBytes: Int { get }

  // MARK: Time and pressure

  /// The time that the session has put into `output.wakeUpMs` has come; it is nil again. Called at the beginning of a turn.
  func wakeUp(nowMs: UnixMs)

  /// Its consumers are to be paused because too much is unsent, or resumed. New consumers are paused by the session itself
  /// meanwhile.
  func setDeliveriesPaused(_ isPaused: Bool)

  /// The access file was read again. Whoever the client is, it is from now on what `renewed` gives for it, nil for nobody;
  /// what it may consume no more ends.
  ///
  /// - Returns: false when the session cannot follow: its connection is closed.
  func accessChanged(_ renewed: (Identity) -> Identity?) -> Bool

  // MARK: The end

  /// Whether something waits for an answer that was not written yet: what `storeFailed` and `shutDown` must refuse.
  var hasUnanswered: Bool { get }

  /// The store has failed. Refuses everything in `lost` that is a reply, by its token, and everything unanswered; deliveries
  /// are dropped. Called when the session has either, also after `end`.
  ///
  /// - Parameter lost: output whose gate will not open any more; it has not been sent and never will be.
  func storeFailed(_ lost: LostOutput, because failure: StorageError)

  /// The server stops: refuses what is unanswered and says goodbye, as the protocol does. `end` follows.
  func shutDown()

  /// The connection is going: lets go of consumers and of everything else that it has in the broker and in front ends. Called
  /// once. What was delivered and is not acknowledged goes to others.
  func end()
}

extension WireSession {
  // Most wires watch no topics.
  func grown(_ topic: Topic) {}
  var inputBytes: Int { 0 }
}
