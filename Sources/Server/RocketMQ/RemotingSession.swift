// RocketMQ's remoting protocol on one connection: frames in, frames out. Name server and broker are one, so there is one session.
//
// Holds: requests are done in the order in which they came, and answered in that order but for pulls that wait for messages and
// answers that are put off so that a client which would ask again at once does not do so without end. A request that needs the disk
// holds up those behind it; a pull that does, does not.
// Leaves to others: frames and fields (RemotingProtocol), what requests mean (RocketMQFrontEnd), sending (the loop).
//
// The parts: Requests (which request is done where), Sending, Pulling, Offsets, Members, Topics, Transactions, Time.

import Access
import Broker
import LineProtocol
import Platform
import Primitives
import RemotingProtocol
import RocketMQFrontEnd
import TopicLog

/// What every connection of this protocol is bound by.
enum RemotingLimits {
  /// The messages of a batch together, where one body may not be larger: RocketMQ's clients send no more.
  static let batchBytesMax = 4 << 20
  /// What a frame may have beside the largest body: header, properties, and what stands around the messages of a batch.
  static let frameBytesAround = 1 << 20
  /// Pulls that wait, and answers that are put off, of one connection.
  static let heldMax = 1024
  /// Messages that one pull can ask for.
  static let pullMessagesMax: Int32 = 4096
  /// How long a pull may be held at most.
  static let holdMsMax: Int64 = 3_600_000
  /// How long an answer is put off that makes clients ask again at once.
  static let putOffMs: Int64 = 1000
  /// A client that says nothing for so long is gone: clients send a heartbeat, or ask for routes, every 30 s.
  static let silenceMs: Int64 = 120_000
}

/// A session of the remoting protocol.
final class RemotingSession: WireSession {
  let services: Services
  let output: Output
  /// The connection's number, by which the broker knows it.
  let key: UInt64
  let peer: PeerAddress
  /// The same as messages carry it.
  let bornHost: String
  @exclusivity(unchecked) private var frames: RemotingFrameReader
  /// How the client writes its headers, and so how it is asked something.
  @exclusivity(unchecked) var serialization = RemotingSerialization.json
  /// The number of the next request to the client.
  var nextOpaque: Int32 = 1
  /// A request that is given again when the disk has answered. Nothing is received meanwhile, so it lies where it is.
  @exclusivity(unchecked) private var blocked: RemotingFrame?
  /// Pulls that wait for messages.
  @exclusivity(unchecked) var held: [HeldPull] = []
  /// Topics that tell this session when they grow, by number.
  @exclusivity(unchecked) var watched: [UInt32: Topic] = [:]
  /// Answers that are put off.
  @exclusivity(unchecked) var putOffAnswers: [PutOffAnswer] = []
  /// Where the last pulls ended: one that goes on there need not look for the place.
  @exclusivity(unchecked) var lastRead: [QueueKey: QueueCursor] = [:]
  @exclusivity(unchecked) var isDeliveryPaused = false
  /// When something last came.
  @exclusivity(unchecked) private(set) var heardMs: UnixMs
  /// What it is as a producer.
  let producer = RocketMQSession()
  private var hasEnded = false

  var broker: Broker { services.broker }
  var frontEnd: RocketMQFrontEnd { services.rocketMQ }
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
    bornHost = peer.description
    let bodyBytesMax = max(services.settings.engine.broker.bodyBytesMax, RemotingLimits.batchBytesMax)
    frames = RemotingFrameReader(frameBytesMax: bodyBytesMax + RemotingLimits.frameBytesAround)
    heardMs = services.broker.nowMs
    planWakeUp()
  }

  /// There is no frame that says so without having been asked.
  static func turnAway(_ reason: String, to bytes: inout ByteBuffer) {}

  // MARK: Commands

  func receive(_ bytes: UnsafeRawBufferPointer) {
    frames.append(bytes)
    heardMs = broker.nowMs
  }

  func performNext() -> Bool {
    do throws(RemotingError) {
      guard let frame = try frames.next() else {
        if frames.bufferedBytes == 0 { frames.shrink(keepingBytes: 0) }
        return false
      }
      try perform(frame)
      return true
    } catch {
      // Where the next frame begins, or whose request this is, is not known.
      services.counters.refusals += 1
      output.closeWhenSent()
      return false
    }
  }

  /// - Throws: what leaves nothing to answer.
  private func perform(_ frame: RemotingFrame) throws(RemotingError) {
    let header = try services.remoting.headers.read(frame)
    // We ask nothing that wants an answer.
    if header.isResponse { return }
    serialization = header.serialization
    services.counters.requests &+= 1
    let mark = output.mark
    let end = output.end
    output.register(RemotingToken(RequestReference(header)).bits)
    do throws(WireStop) {
      try perform(header, frame.body)
      // Nothing is answered now: the client does not want it, or it comes later.
      if header.isOneWay || output.end == end { output.takeBack(to: mark) }
    } catch {
      output.takeBack(to: mark)
      switch error {
      case .waitForDisk: blocked = frame
      case .refused(let code, let remark): refuse(header, code, remark)
      }
    }
  }

  var isWaiting: Bool { blocked != nil }

  func retry() {
    if let frame = blocked {
      blocked = nil
      do throws(RemotingError) { try perform(frame) } catch { output.closeWhenSent() }
    }
    goOnWithPulls { $0.waitsForDisk }
  }

  // MARK: Answers

  /// Writes an answer without fields and body.
  func answer(_ header: RemotingHeader, _ code: ResponseCode = .success, _ remark: String? = nil) {
    out.appendResponse(code, to: header, remark: remark)
  }

  /// Answers that a request is not done; later, when the client would only ask again at once.
  func refuse(_ header: RemotingHeader, _ code: ResponseCode, _ remark: String) {
    services.counters.refusals &+= 1
    if header.isOneWay { return }
    let request = RequestReference(header)
    if asksAgainAtOnce(header), canHoldMore { return putOff(code, remark, request) }
    output.register(RemotingToken(request).bits)
    out.appendResponse(code, to: request, remark: remark)
  }

  private func asksAgainAtOnce(_ header: RemotingHeader) -> Bool {
    switch header.request {
    case .pullMessage, .litePullMessage: (try? PullRequest(header).waits) ?? false
    case .lockBatchQueues: true
    default: false
    }
  }

  // MARK: What the broker says

  // Messages are read by pulls; nobody here has consumers that are delivered to.
  func deliver(_ delivery: Delivery) {}
  func fetched(_ consumer: Consumer, token: UInt64, _ deliveries: [Delivery]) {}
  func truncated(_ consumer: Consumer, from: TopicOffset, to: TopicOffset) {}
  func ended(_ consumer: Consumer) {}

  func askAbout(_ number: HeldNumber) {
    frontEnd.writeCheck(number, opaque: makeOpaque(), serialization, to: &out)
  }

  /// The members of a group have changed.
  func membersChanged(_ group: String) {
    out.appendConsumerIDsChanged(group: group, opaque: makeOpaque(), serialization: serialization)
  }

  private func makeOpaque() -> Int32 {
    defer { nextOpaque = nextOpaque &+ 1 }
    return nextOpaque
  }

  func newMessagesAreRefused(_ isRefused: Bool) {}

  @inline(__always) func turnEnds() { planWakeUp() }

  // MARK: Pressure and rights

  func setDeliveriesPaused(_ isPaused: Bool) {
    isDeliveryPaused = isPaused
    if !isPaused { goOnWithPulls { _ in true } }
  }

  /// Every request asks anew.
  func accessChanged(_ renewed: (Identity) -> Identity?) -> Bool { true }

  // MARK: The end

  var hasUnanswered: Bool { blocked != nil || !held.isEmpty || !putOffAnswers.isEmpty }

  func storeFailed(_ lost: LostOutput, because failure: StorageError) {
    let remark = "the store has failed; restart the server: \(failure)"
    for bits in lost.tokens {
      out.appendResponse(.serviceNotAvailable, to: RemotingToken(bits: bits).request, remark: remark)
    }
    refuseUnanswered(remark)
  }

  func shutDown() { refuseUnanswered("the server is stopping") }

  private func refuseUnanswered(_ remark: String) {
    for pull in held { out.appendResponse(.serviceNotAvailable, to: pull.request, remark: remark) }
    for answer in putOffAnswers { answer.bytes.withBytes { out.append($0) } }
    if let blocked, let header = try? services.remoting.headers.read(blocked) {
      out.appendResponse(.serviceNotAvailable, to: header, remark: remark)
    }
    forgetUnanswered()
  }

  private func forgetUnanswered() {
    for topic in watched.values { broker.unwatch(topic, for: key) }
    watched = [:]
    held = []
    putOffAnswers = []
    blocked = nil
  }

  func end() {
    guard !hasEnded else { return }
    hasEnded = true
    forgetUnanswered()
    frontEnd.end(producer, connection: key)
  }
}

/// What a reply is registered by: whose request it answers.
struct RemotingToken {
  let bits: UInt64

  init(bits: UInt64) { self.bits = bits }

  init(_ request: RequestReference) {
    bits = UInt64(UInt32(bitPattern: request.opaque)) | UInt64(request.serialization.rawValue) << 32
  }

  var request: RequestReference {
    RequestReference(
      opaque: Int32(truncatingIfNeeded: bits),
      serialization: RemotingSerialization(rawValue: UInt8(truncatingIfNeeded: bits >> 32)) ?? .json)
  }
}

/// What the sessions of this protocol share; used by one at a time.
final class RemotingScratch {
  let headers = RemotingHeaderReader()
  let json = JSONReader()
  /// The body of an answer whose header says what is in it.
  @exclusivity(unchecked) var body = ByteBuffer()
}
