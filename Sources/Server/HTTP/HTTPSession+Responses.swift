// Responses, and what becomes of them when the store fails before they are true.
//
// The token of a response says where the `rid` of its reply stands in the output, as those of the line protocol do: position
// in the upper bits, length in the lower 10; length 0 when there is none.

import Broker
import HTTPProtocol
import LineProtocol
import Primitives

extension HTTPSession {
  static let jsonType: StaticString = "application/json"

  // MARK: Replies of operations

  /// Passes the performer's reply on, if it is there.
  func answer() {
    let gate = written.turnGate
    let reply = written.takeLost()
    output.hold(until: gate)
    guard isPerforming, !performer.hasUnanswered else { return }
    isPerforming = false
    let status = performer.refusedWith?.httpStatus ?? .ok
    reply.bytes.withUnsafeBytes { bytes in
      guard let token = reply.tokens.first else {
        // Asked for no reply, which HTTP does not know.
        return "{\"ok\":true}\n".withBytes { write(response(status), $0, rid: nil) }
      }
      write(response(status), bytes, rid: ReplyToken(token).rid(from: reply.start))
    }
  }

  private func response(_ status: HTTPStatus) -> HTTPResponse {
    HTTPResponse(
      status, contentType: Self.jsonType, keepsAlive: keepsAlive,
      fields: status == .unauthorized ? ["WWW-Authenticate": "Bearer"] : [:])
  }

  // MARK: Other responses

  /// Refuses something that is no request to this server, and closes.
  func refuse(_ error: HTTPError) {
    keepsAlive = false
    let code: WireError =
      switch error {
      case .bodyTooLarge: .lineTooLong
      case .foreignHost, .foreignOrigin: .forbidden
      default: .badRequest
      }
    write(Refusal(code: code, message: error.description), error.status)
  }

  /// Refuses a body that is longer than those of whoever has not said who he is may be, and closes.
  func refuseStranger() {
    keepsAlive = false
    let text =
      "a body is longer than \(LineSession.strangerLineBytesMax) bytes; say who you are with a good 'Authorization'"
    write(Refusal(code: .lineTooLong, message: text))
  }

  /// - Parameter status: nil for that of the refusal's code.
  func write(
    _ refusal: Refusal, _ status: HTTPStatus? = nil, _ fields: KeyValuePairs<StaticString, String>? = nil,
    for request: HTTPRequest? = nil
  ) {
    services.counters.refusals += 1
    var response = response(status ?? refusal.code.httpStatus)
    if let fields { response.fields = fields }
    response.isForHead = request?.method == .head
    var body = ByteBuffer()
    body.appendRefusal(refusal, rid: nil)
    write(response, body.readable, rid: nil)
  }

  func write(
    _ status: HTTPStatus, _ contentType: StaticString, _ body: UnsafeRawBufferPointer, for request: HTTPRequest,
    fields: KeyValuePairs<StaticString, String> = [:]
  ) {
    let response = HTTPResponse(
      status, contentType: contentType, keepsAlive: keepsAlive, isForHead: request.method == .head, fields: fields)
    write(response, body, rid: nil)
  }

  /// - Parameter rid: where it stands in the body.
  private func write(_ response: HTTPResponse, _ body: UnsafeRawBufferPointer, rid: Range<Int>?) {
    output.bytes.appendHTTP(response, body: body, nowMs: broker.nowMs)
    let bodyStart = output.end - body.count
    output.register(ReplyToken(at: bodyStart + (rid?.lowerBound ?? 0), length: rid?.count ?? 0).bits)
    finishRequest()
  }

  // MARK: A failed store

  func storeFailed(_ lost: LostOutput, because failure: StorageError) {
    let refusal = Refusal(code: .storageFailed, message: "the store failed before this was durable: \(failure)")
    lost.bytes.withUnsafeBytes { bytes in
      for token in lost.tokens {
        let rid = ReplyToken(token).rid(from: lost.start).map { UnsafeRawBufferPointer(rebasing: bytes[$0]) }
        var body = ByteBuffer()
        body.appendRefusal(refusal, rid: rid)
        write(response(.serviceUnavailable), body.readable, rid: nil)
      }
    }
    guard isPerforming else { return }
    performer.storeFailed(LostOutput(tokens: [], bytes: [], start: 0), because: failure)
    answer()
  }
}

extension WireError {
  /// The status of a response with a refusal of this code.
  package var httpStatus: HTTPStatus {
    switch self {
    case .badJSON, .badRequest, .unknownOp, .delayOutOfRange, .bodyTooLarge, .badState: .badRequest
    case .unauthenticated: .unauthorized
    case .forbidden: .forbidden
    case .notFound: .notFound
    case .exists, .preconditionFailed: .conflict
    case .lineTooLong: .contentTooLarge
    case .limitExceeded, .busy: .tooManyRequests
    case .diskFull, .storageFailed, .shuttingDown, .notLeader: .serviceUnavailable
    }
  }
}
