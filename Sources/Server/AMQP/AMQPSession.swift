// AMQP 0-9-1 on one connection: frames in, frames out.
//
// Holds: methods of a channel are done in the order in which they came; what is refused closes its channel or the connection,
// as the reply code says; a closing channel takes nothing but the end of its closing.
// Leaves to others: frames and fields (AMQPProtocol), what methods mean (RabbitMQChannel), sending (the loop).
//
// The parts: Opening (handshake), Frames (what came, and to whom), Topology, Consuming, Publishing and Transactions (methods),
// Rights, Deliveries (what the broker says), Closing, Time (heartbeats and deadlines).

import AMQPProtocol
import Access
import Broker
import Platform
import Primitives
import RabbitMQFrontEnd

/// A session of AMQP 0-9-1.
final class AMQPSession: WireSession {
  /// How far a connection has come.
  enum Stage {
    /// What comes next from the client: its protocol header, who it is, what it makes of our limits, where it wants to go.
    case expectsHeader, expectsStartOk, expectsTuneOk, expectsOpen
    /// Open.
    case open
    /// One side has asked to close; nothing counts any more but what belongs to that.
    case closing
    /// Nothing more is read.
    case closed
  }

  /// A command that cannot be done yet: the message that has come in whole on its channel is to be published, or the channel's
  /// transaction committed.
  struct Blocked {
    enum Command { case publish, commit }
    enum Reason { case disk, space }
    let channel: AMQPChannel
    let command: Command
    let reason: Reason
  }

  /// What a connection may keep at a time of contents that are not whole and of transactions that are not committed.
  static let heldBytesMax = 64 << 20

  let services: Services
  let output: Output
  /// The connection's number, by which the broker's consumers name it.
  let key: UInt64
  let peer: PeerAddress
  @exclusivity(unchecked) var frames = FrameReader(maxFrameBytes: AMQPLimits.frameBytesMax)
  @exclusivity(unchecked) var stage = Stage.expectsHeader
  var client = AMQPClientProperties()
  /// Who has logged in, by the name given, and by the access file.
  var user = Text("")
  var identity: Identity?
  /// The virtual host that the client has opened.
  var rabbitMQ: RabbitMQ
  /// As negotiated.
  var channelMax = AMQPLimits.channelMax
  /// As negotiated: the largest frame for either side.
  @exclusivity(unchecked) var frameBytesMax = AMQPLimits.frameBytesMax
  var heartbeat = AMQPHeartbeat()
  var hasSaidBlocked = false
  /// Its channels and consumers are gone from the broker.
  var hasLetGo = false

  @exclusivity(unchecked) var channels = AMQPChannels()
  /// Everyone who gets messages here, by the number that the broker's consumer carries.
  @exclusivity(unchecked) var subscriptions: [Int64: AMQPSubscription] = [:] { didSet { lastSubscription = nil } }
  /// The one that had the last delivery.
  @exclusivity(unchecked) var lastSubscription: (sub: Int64, channel: AMQPChannel)?
  var nextSub: Int64 = 1
  /// Whether deliveries have ended since the last answer.
  @exclusivity(unchecked) var hasEnded = false
  var isDeliveryPaused = false
  /// No delivery of any channel has been kept for too long before this time.
  @exclusivity(unchecked) var nextTimeoutMs = UnixMs.max
  /// The channel whose `basic.get` waits for the disk, by the token of the fetch.
  var waitingGets: [UInt64: AMQPChannel] = [:]
  @exclusivity(unchecked) var blocked: Blocked?
  /// Channels whose content is not whole and may still lie where it was received.
  @exclusivity(unchecked) var unfinished: [AMQPChannel] = []
  /// Channels with confirms to be written at the end of the turn.
  @exclusivity(unchecked) var confirming: [AMQPChannel] = []
  /// Bytes of contents that are not whole and of transactions that are not committed.
  @exclusivity(unchecked) var heldBytes = 0

  var broker: Broker { services.broker }
  var settings: ServerSettings { services.settings }
  @inline(__always) var out: ByteBuffer {
    _read { yield output.bytes }
    _modify { yield &output.bytes }
  }

  init(_ services: Services, _ output: Output, key: UInt64, peer: PeerAddress) {
    self.services = services
    self.output = output
    self.key = key
    self.peer = peer
    rabbitMQ = services.rabbitMQ
    output.wakeUpMs = broker.nowMs + settings.handshakeTimeoutMs
  }

  static func turnAway(_ reason: String, to bytes: inout ByteBuffer) {
    bytes.append(closeFor: AMQPFault(.connectionForced, reason), channel: 0)
  }

  // MARK: Commands

  func receive(_ bytes: UnsafeRawBufferPointer) {
    keepUnfinished()
    frames.append(bytes)
    noteHeard()
  }

  /// What was received may move now, or go.
  @inline(__always) private func keepUnfinished() {
    if unfinished.isEmpty { return }
    for channel in unfinished { channel.content.keep() }
    unfinished.removeAll(keepingCapacity: true)
  }

  func performNext() -> Bool {
    if let blocked {
      goOn(with: blocked)
      return true
    }
    do throws(AMQPFault) {
      switch try frames.next() {
      case .needsMore:
        if frames.bufferedBytes == 0 {
          keepUnfinished()
          frames.shrink(keepingBytes: 0)
        }
        return false
      case .opened:
        start()
        return true
      case .foreignProtocol:
        out.appendProtocolHeader()
        finish()
        return false
      case .frame(let frame):
        take(frame)
        return true
      }
    } catch {
      // Where the next frame begins is not known.
      if stage != .closing { close(because: error) }
      finish()
      return false
    }
  }

  /// A `get` that needs the disk holds up what comes behind it, and so does a message that finds no room: RabbitMQ, too, reads
  /// nothing more from who publishes while it has no space.
  var isWaiting: Bool {
    if !waitingGets.isEmpty { return true }
    guard let blocked else { return false }
    return blocked.reason == .disk || broker.refusesMessages
  }

  func retry() {
    guard let blocked, blocked.reason == .disk else { return broker.forgetColdReads(key) }
    goOn(with: blocked)
  }

  var inputBytes: Int { frames.bufferedBytes + heldBytes }

  // MARK: Pressure

  func setDeliveriesPaused(_ isPaused: Bool) {
    isDeliveryPaused = isPaused
    for (_, subscription) in subscriptions.sorted(by: { $0.key < $1.key }) {
      broker.setPaused(subscription.consumer, isPaused)
    }
  }

  func newMessagesAreRefused(_ isRefused: Bool) { if stage == .open { sayWhetherBlocked(isRefused) } }

  func sayWhetherBlocked(_ isBlocked: Bool) {
    guard client.knowsBlocked, hasSaidBlocked != isBlocked else { return }
    hasSaidBlocked = isBlocked
    guard isBlocked else { return out.append(.connectionUnblocked, channel: 0) }
    (broker.isDiskFull ? "the disk is nearly full" : "the memory is full").withBytes { reason in
      out.append(ConnectionBlocked { $0.reason = reason }, channel: 0)
    }
  }

  // MARK: The end of a turn

  @inline(__always) func turnEnds() {
    if confirming.isEmpty { return }
    for channel in confirming { writeConfirms(of: channel) }
    confirming.removeAll(keepingCapacity: true)
  }
}

/// One consumer of a connection.
struct AMQPSubscription {
  let channel: AMQPChannel
  let consumer: Consumer
}

/// What every connection is bound by.
enum AMQPLimits {
  /// Channels of a connection.
  static let channelMax = 2047
  /// A frame with its eight bytes around the payload.
  static let frameBytesMax = 131_072
  static let frameBytesMin = 4096
  /// Seconds between heartbeats, unless the client wants something else.
  static let heartbeatSeconds: UInt16 = 60
  /// Consumers of a channel.
  static let consumersMax = 8192
  /// How long it may take to answer `connection.close`, and then to read what it was sent.
  static let closeMs: Int64 = 10_000
  /// How long the rest of a frame or message may stay away where no heartbeat was agreed on.
  static let unfinishedMs: Int64 = 60_000
}
