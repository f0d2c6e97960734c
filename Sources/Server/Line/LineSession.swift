// The line protocol on one connection: JSON lines in, JSON lines out.
//
// Holds: replies stand in the order of their requests, but for those of fetches that wait for messages. A line that waits for
// the disk, or a fetch that does, holds up the lines behind it.
// Leaves to others: what the operations are (OperationTable), what their fields mean (Request), sending (the loop).

import Access
import Broker
import LineProtocol
import Primitives
import RabbitMQFrontEnd
import RocketMQFrontEnd

/// A session of the line protocol.
final class LineSession: WireSession {
  let services: Services
  let output: Output
  /// The connection's number, by which the broker's consumers name it.
  let key: UInt64
  @exclusivity(unchecked) private var framer: LineFramer
  /// Whether the client can be sent what it has not just asked for.
  let canPush: Bool
  /// Who the client is; nil before it has said so.
  @exclusivity(unchecked) var identity: Identity?
  /// Since when it has not said who it is.
  var strangerSinceMs: UnixMs
  /// When the line that has not come in whole began to come in.
  @exclusivity(unchecked) var lineStartMs: UnixMs?
  /// When it is closed, whatever has not been sent.
  private(set) var closeMs: UnixMs?
  /// When something last came from the client.
  @exclusivity(unchecked) var heardMs: UnixMs
  /// The code of the last refusal.
  @exclusivity(unchecked) var refusedWith: WireError?
  /// A line that is given again when the disk has answered.
  @exclusivity(unchecked) var blocked: [UInt8]?
  /// A fetch whose reply must come before anything else's; its token.
  @exclusivity(unchecked) var blockingFetch: UInt64?
  /// The fetches that wait, by token.
  @exclusivity(unchecked) var waiting: [UInt64: WaitingFetch] = [:]
  @exclusivity(unchecked) var isDeliveryPaused = false

  /// Everyone who gets messages here, by the number that the client knows.
  @exclusivity(unchecked) var consumers: [Int64: Consumer] = [:]
  /// The fetching sides of native groups.
  var fetchers: [Consumer] = []
  var nextSub: Int64
  /// What it has from the RocketMQ front end; nil until it is used.
  var rocketMQSession: RocketMQSession?
  /// The channel of the RabbitMQ front end; nil until it is used.
  @exclusivity(unchecked) var channel: RabbitMQChannel?

  var broker: Broker { services.broker }
  var settings: ServerSettings { services.settings }
  var reader: RequestReader { services.reader }
  @inline(__always) var out: ByteBuffer {
    _read { yield output.bytes }
    _modify { yield &output.bytes }
  }

  init(_ services: Services, _ output: Output, key: UInt64, canPush: Bool = true) {
    self.services = services
    self.output = output
    self.key = key
    framer = LineFramer(maxLineBytes: services.settings.lineBytesMax)
    self.canPush = canPush
    identity = services.admission.anybody
    // Numbers that no other shard gives on the same client's connection, and that tell the shard.
    nextSub = Int64(services.settings.shard?.number ?? 0) + 1
    strangerSinceMs = services.broker.nowMs
    heardMs = services.broker.nowMs
    if canPush { setNextWakeUp() }
  }

  static func turnAway(_ reason: String, to bytes: inout ByteBuffer) {
    bytes.appendRefusal(Refusal(code: .busy, message: reason), rid: nil)
  }

  // MARK: Commands

  func receive(_ bytes: UnsafeRawBufferPointer) {
    framer.append(bytes)
    heardMs = broker.nowMs
  }

  var inputBytes: Int { framer.allocatedBytes }

  func performNext() -> Bool {
    switch framer.next() {
    case .line(let line):
      lineStartMs = nil
      if isTooMuch(line.count) { return false }
      if !RequestReader.isBlank(line) { perform(line) }
      return true
    case .needsMore:
      if isTooMuch(framer.bufferedBytes) { return false }
      if framer.bufferedBytes == 0 { framer.shrink(keepingBytes: 0) } else { expectRestOfLine() }
      return false
    case .tooLong:
      let text = "a line is longer than \(settings.lineBytesMax) bytes"
      refuseAndClose(Refusal(code: .lineTooLong, message: text))
      return false
    }
  }

  /// Refuses long lines of clients that have not said who they are.
  private func isTooMuch(_ lineBytes: Int) -> Bool {
    guard identity == nil, lineBytes > Self.strangerLineBytesMax else { return false }
    let text = "a line is longer than \(Self.strangerLineBytesMax) bytes; say 'hello' with a good 'token' first"
    refuseAndClose(Refusal(code: .lineTooLong, message: text))
    return true
  }

  /// The longest line before a good `hello`; room for a name and a secret.
  static let strangerLineBytesMax = 8192

  var isWaiting: Bool { blocked != nil || blockingFetch != nil }

  func retry() {
    guard let line = blocked else { return broker.forgetColdReads(key) }
    blocked = nil
    line.withUnsafeBytes { perform($0) }
  }

  /// Says why and closes once that is sent.
  func refuseAndClose(_ refusal: Refusal) {
    services.counters.refusals += 1
    writeRefusal(refusal, rid: nil)
    output.closeWhenSent()
    // Whoever does not close its end then is cut off.
    closeMs = broker.nowMs + settings.requestTimeoutMs
    output.wakeUpMs = closeMs
  }

  // MARK: Pressure

  func newMessagesAreRefused(_ isRefused: Bool) {}
  @inline(__always) func turnEnds() {}

  func setDeliveriesPaused(_ isPaused: Bool) {
    isDeliveryPaused = isPaused
    for consumer in consumers.values.sorted(by: { $0.sub < $1.sub }) { broker.setPaused(consumer, isPaused) }
  }

  /// Adds a consumer under the number `nextSub`.
  func adopt(_ consumer: Consumer) {
    consumers[consumer.sub] = consumer
    nextSub += Int64(settings.shard?.count ?? 1)
    if isDeliveryPaused { broker.setPaused(consumer, true) }
  }

  // MARK: The end

  /// Lets go of the fetching sides that have deliveries and wait for none, and gives them.
  func releaseIdleFetchers() -> [Consumer] {
    guard waiting.isEmpty else { return [] }
    let idle = fetchers.filter { $0.inFlight > 0 }
    fetchers.removeAll { $0.inFlight > 0 }
    return idle
  }

  func end() {
    let native = consumers.values.filter { !$0.topic.isQueue }.sorted { $0.sub < $1.sub }
    for consumer in native + fetchers { broker.remove(consumer) }
    consumers = [:]
    fetchers = []
    waiting = [:]
    blockingFetch = nil
    if let rocketMQSession { services.rocketMQ.end(rocketMQSession, connection: key) }
    rocketMQSession = nil
    // A server that stops takes no queue away: the clients will come again.
    channel?.end(queuesStay: services.isStopping)
    if channel != nil, !services.isStopping { services.rabbitMQ.connectionEnded(key) }
    channel = nil
  }
}
