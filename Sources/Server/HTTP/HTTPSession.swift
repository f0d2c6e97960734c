// HTTP on one connection: `POST /v1` for the operations of the line protocol, and the pages for those who watch the server.
//
// Holds: requests are answered one after the other and in their order; a request that waits for the disk, or for messages,
// holds up those behind it. What a request may do depends on that request alone, never on one before it.
// Leaves to others: what the operations do (a line session whose lines go no further than here), HTTP itself (HTTPProtocol).

import Access
import Broker
import HTTPProtocol
import LineProtocol
import Primitives

/// A session of HTTP.
final class HTTPSession: WireSession {
  let services: Services
  let output: Output
  /// Performs requests; nobody but this session reads what it writes.
  let performer: LineSession
  /// What the performer has written.
  let written = Output()
  @exclusivity(unchecked) private var parser: HTTPRequestParser
  @exclusivity(unchecked) private var input = ByteBuffer()

  /// The performer has a request that it has not answered.
  @exclusivity(unchecked) var isPerforming = false
  /// Of the request under way.
  @exclusivity(unchecked) var keepsAlive = true
  /// The request that is coming in says who sends it, and that is somebody.
  @exclusivity(unchecked) private var isKnown = false
  /// When the request under way began to come in.
  private var requestStartMs: UnixMs?
  /// When the last response was written.
  private var idleSinceMs: UnixMs
  private var closeMs: UnixMs?

  var broker: Broker { services.broker }
  private var settings: ServerSettings { services.settings }

  init(_ services: Services, _ output: Output, key: UInt64) {
    self.services = services
    self.output = output
    performer = LineSession(services, written, key: key, canPush: false)
    parser = HTTPRequestParser(bodyBytesMax: services.settings.lineBytesMax)
    idleSinceMs = services.broker.nowMs
  }

  static func turnAway(_ reason: String, to bytes: inout ByteBuffer) {
    var body = ByteBuffer()
    body.appendRefusal(Refusal(code: .busy, message: reason), rid: nil)
    let response = HTTPResponse(WireError.busy.httpStatus, contentType: jsonType, keepsAlive: false)
    bytes.appendHTTP(response, body: body.readable, nowMs: nil)
  }

  // MARK: Commands

  func receive(_ bytes: UnsafeRawBufferPointer) { input.append(bytes) }

  var inputBytes: Int { input.allocatedBytes + parser.bodyBytes }

  func performNext() -> Bool {
    do throws(HTTPError) {
      switch try parser.advance(&input) {
      case .needsMoreBytes:
        if input.isEmpty { input.shrink(keepingBytes: 0) }
        if parser.isInsideRequest, requestStartMs == nil { requestStartMs = broker.nowMs }
        if let begun = parser.unfinished, isTooMuch(begun) { refuseStranger() }
        return false
      case .expectsContinue: output.bytes.appendHTTPContinue()
      case .request:
        requestStartMs = nil
        isKnown = false
        perform(parser.request)
      }
      return true
    } catch {
      refuse(error)
      return false
    }
  }

  /// Whether more of a body has come than somebody may send who is not known.
  private func isTooMuch(_ begun: HTTPRequest) -> Bool {
    guard !isKnown, parser.bodyBytes > LineSession.strangerLineBytesMax else { return false }
    isKnown = (try? identity(of: begun)) ?? nil != nil
    return !isKnown
  }

  var isWaiting: Bool { isPerforming }

  func retry() {
    performer.retry()
    answer()
  }

  // MARK: What the broker says

  // Nobody subscribes here, and nobody is asked.
  func deliver(_ delivery: Delivery) {}
  func truncated(_ consumer: Consumer, from: TopicOffset, to: TopicOffset) {}
  func askAbout(_ number: HeldNumber) {}
  func newMessagesAreRefused(_ isRefused: Bool) {}
  func setDeliveriesPaused(_ isPaused: Bool) {}

  func fetched(_ consumer: Consumer, token: UInt64, _ deliveries: [Delivery]) {
    performer.fetched(consumer, token: token, deliveries)
    answer()
  }

  func ended(_ consumer: Consumer) {
    performer.ended(consumer)
    answer()
  }

  // MARK: Time

  func turnEnds() { output.wakeUpMs = deadlineMs }

  private var deadlineMs: UnixMs? {
    if let closeMs { return closeMs }
    if isPerforming { return nil }
    if let requestStartMs { return requestStartMs + settings.requestTimeoutMs }
    return idleSinceMs + settings.idleTimeoutMs
  }

  func wakeUp(nowMs: UnixMs) {
    services.counters.connectionsTimedOut += 1
    guard closeMs == nil, requestStartMs != nil else { return output.closeNow() }
    keepsAlive = false
    write(Refusal.badRequest("the request did not come in whole in \(settings.requestTimeoutMs) ms"), .requestTimeout)
  }

  /// The response is written: the next request may come, or the end.
  func finishRequest() {
    idleSinceMs = broker.nowMs
    requestStartMs = nil
    guard !keepsAlive, closeMs == nil else { return }
    output.closeWhenSent()
    closeMs = broker.nowMs + settings.requestTimeoutMs
  }

  func accessChanged(_ renewed: (Identity) -> Identity?) -> Bool {
    // Each request says anew who sends it: only one that waits has to be told.
    guard isPerforming else { return true }
    _ = performer.accessChanged(renewed)
    answer()
    return true
  }

  // MARK: The end

  var hasUnanswered: Bool { isPerforming }

  func shutDown() {
    keepsAlive = false
    performer.shutDown()
    answer()
  }

  func end() {
    // A client that sends each request on a connection of its own acknowledges on another one than it fetched on.
    services.lingering.adopt(performer.releaseIdleFetchers(), broker)
    performer.end()
    isPerforming = false
  }
}
