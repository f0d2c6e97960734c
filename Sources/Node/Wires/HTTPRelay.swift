// HTTP at the front of a node: each request goes to the shard that it is about, here or on the node that leads it.
//
// Holds: one request of a client is under way at a time. What goes to a shard is written anew from what was understood of the
// request: a shard never sees a head that a client wrote.
// Leaves to others: what operations do (the sessions behind), the metrics of several shards (MetricsGathering).

import Access
import HTTPProtocol
import LineProtocol
import Platform
import Primitives
import Server

/// Relays a connection of HTTP.
final class HTTPRelay: Relay {
  let front: Front
  unowned let connection: FrontConnection
  private var parser: HTTPRequestParser
  private var input = ByteBuffer()
  private let audience: HTTPAudience
  /// What the request under way waits for; nil when none is.
  private var work: Work?
  private var keepsAlive = true

  private enum Work {
    /// The response of one shard, which passes as it comes.
    case response(shard: Int, HTTPResponseReader)
    /// The metrics of all shards that are led here.
    case metrics(MetricsGathering, isForHead: Bool)
  }

  init(_ front: Front, _ connection: FrontConnection) {
    self.front = front
    self.connection = connection
    parser = HTTPRequestParser(bodyBytesMax: front.settings.server.lineBytesMax)
    audience = HTTPAudience(names: front.settings.server.hostNames)
    connection.openByMs = front.nowMs + front.settings.server.idleTimeoutMs
  }

  var heldBytes: Int { input.count }

  // MARK: The client

  func clientSent(_ bytes: UnsafeRawBufferPointer) {
    input.append(bytes)
    goOn()
  }

  private func goOn() {
    while work == nil, connection.client?.closesWhenSent == false {
      do throws(HTTPError) {
        switch try parser.advance(&input) {
        case .needsMoreBytes: return
        case .expectsContinue: connection.send { $0.appendHTTPContinue() }
        case .request: take(parser.request)
        }
      } catch {
        connection.send { $0.appendHTTP(error, nowMs: SystemClock.wallNs() / TimeUnits.nsPerMs) }
        return connection.close()
      }
    }
  }

  private func take(_ request: HTTPRequest) {
    connection.openByMs = nil
    keepsAlive = request.keepsAlive
    do throws(HTTPError) { try audience.check(request) } catch {
      keepsAlive = false
      connection.send { $0.appendHTTP(error, nowMs: SystemClock.wallNs() / TimeUnits.nsPerMs) }
      return connection.close()
    }
    let path = String(decoding: request.path, as: UTF8.self)
    switch path {
    case "/v1" where request.method == .post: performOperation(request)
    case "/metrics" where request.method == .get || request.method == .head: gatherMetrics(request)
    case "/healthz" where request.method == .get: write(.ok, "ok\n")
    case "/readyz" where request.method == .get: writeReadiness()
    // The page, and what is wrong with anything else, are the same everywhere.
    default: pass(request, to: front.shards.first { $0.view.isServing }?.number ?? 0)
    }
  }

  // MARK: Operations

  private func performOperation(_ request: HTTPRequest) {
    let reader = front.reader
    var transactionShard = 0
    do throws(Refusal) {
      try reader.parse(request.body)
      guard let name = try reader.string(.op) else { return pass(request, to: 0) }
      let asked = NodeRequest(front: front, identity: try identity(of: request))
      if let operation = NodeOperation(rawValue: String(decoding: name.prefix(32), as: UTF8.self)) {
        var body = ByteBuffer()
        try asked.perform(operation, rid: try reader.rid(), to: &body)
        return writeReply(body.readable)
      }
      pass(request, to: try asked.shard(of: name, &transactionShard))
    } catch {
      // The session behind says what is wrong with it.
      if error.code == .badJSON || error.code == .badRequest { return pass(request, to: 0) }
      write(error)
    }
  }

  private func identity(of request: HTTPRequest) throws(Refusal) -> Identity? {
    try HTTPIdentity.of(request, front.admission)
  }

  /// Sends the request to a shard, as far as it matters there.
  private func pass(_ request: HTTPRequest, to shard: Int) {
    guard front.reach(shard, .http, for: connection) else {
      let view = front.shards[shard].view
      var body = ByteBuffer()
      NotLeader(view, front.settings.name).append(to: &body, rid: nil)
      return writeReply(body.readable, .serviceUnavailable)
    }
    work = .response(shard: shard, HTTPResponseReader(isForHead: request.method == .head))
    send(request, to: shard)
  }

  private func send(_ request: HTTPRequest, to shard: Int) {
    var bytes = ByteBuffer(capacity: request.body.count + 512)
    bytes.append(request.method.name)
    bytes.append(" ")
    bytes.append(request.path)
    bytes.append(" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ")
    bytes.append(text: String(request.body.count))
    if request.count(of: "Authorization") == 1, let who = request.field("Authorization") {
      bytes.append("\r\nAuthorization: ")
      bytes.append(who)
    }
    bytes.append("\r\n\r\n")
    bytes.append(request.body)
    connection.send(to: shard, bytes.readable)
  }

  // MARK: Metrics

  private func gatherMetrics(_ request: HTTPRequest) {
    let serving = front.shards.filter { front.open($0.number, .http, for: connection, as: nil) }.map(\.number)
    let own = NodeMetrics.page(front.shards.map(\.view))
    work = .metrics(MetricsGathering(own, waitingFor: serving), isForHead: request.method == .head)
    for shard in serving { send(request, to: shard) }
    finishMetrics()
  }

  private func finishMetrics() {
    guard case .metrics(let gathering, let isForHead)? = work, gathering.isComplete else { return }
    if let refused = gathering.refused {
      refused.withUnsafeBytes { connection.send($0) }
    } else {
      gathering.page.withUnsafeBytes { write(.ok, $0, PrometheusText.contentType, isForHead: isForHead) }
    }
    finish()
  }

  // MARK: Shards

  func shardSent(_ shard: Int, _ bytes: UnsafeRawBufferPointer) {
    switch work {
    case .response(shard, let reader)?:
      connection.send(bytes)
      if reader.take(bytes) { finish() }
    case .metrics(let gathering, _)?:
      gathering.take(bytes, from: shard)
      finishMetrics()
    case .response?, nil: return
    }
  }

  func shardEnded(_ shard: Int) {
    switch work {
    case .response(shard, _)?: connection.close()
    case .metrics(let gathering, _)?:
      gathering.giveUp(shard)
      finishMetrics()
    case .response?, nil: return
    }
  }

  private func finish() {
    work = nil
    guard keepsAlive, connection.client?.inputEnded == false else { return connection.close() }
    connection.openByMs = front.nowMs + front.settings.server.idleTimeoutMs
    goOn()
  }

  func clientEnded() { if work == nil { connection.close() } }

  // MARK: Own responses

  private func writeReadiness() {
    let waiting = front.shards.map(\.view).filter { !$0.isReady }.map { "shard \($0.number) is \($0.role)\n" }
    if waiting.isEmpty { return write(.ok, "ok\n") }
    write(.serviceUnavailable, waiting.joined())
  }

  private func write(_ status: HTTPStatus, _ text: String) {
    text.withBytes { write(status, $0, "text/plain; charset=utf-8", isForHead: false) }
  }

  private func write(_ refusal: Refusal) {
    var body = ByteBuffer()
    body.appendRefusal(refusal, rid: nil)
    writeReply(body.readable, refusal.code.httpStatus)
  }

  private func writeReply(_ body: UnsafeRawBufferPointer, _ status: HTTPStatus? = nil) {
    let isRefused = body.starts(with: "{\"ok\":false".utf8)
    write(status ?? (isRefused ? .serviceUnavailable : .ok), body, "application/json", isForHead: false)
  }

  private func write(_ status: HTTPStatus, _ body: UnsafeRawBufferPointer, _ type: StaticString, isForHead: Bool) {
    let response = HTTPResponse(status, contentType: type, keepsAlive: keepsAlive, isForHead: isForHead)
    connection.send { $0.appendHTTP(response, body: body, nowMs: SystemClock.wallNs() / TimeUnits.nsPerMs) }
    if !keepsAlive { connection.close() }
  }
}
