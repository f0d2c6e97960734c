// A NATS server with one stream in memory, as dumb as can be, which does what a test tells it to do wrong.
//
// Holds: the stream itself never errs: an entry is stored behind the one that was expected, or not at all. What goes wrong is
// what the client gets to know of it.

import LineProtocol
import NATS
import Platform
import Primitives
import ReplicatedStream

final class ModelServer: NATSTransport {
  struct Request {
    let subject: String
    let reply: String
    let header: UInt64?
    let payload: [UInt8]
    var text: String { String(decoding: payload, as: UTF8.self) }
  }

  // MARK: The stream

  var stored: [[UInt8]] = []
  /// The first sequence that is there.
  var first: EntrySequence = 1
  var last: EntrySequence { UInt64(stored.count) }
  var bytesMax = Int.max
  var created: String? = "2026-03-01T09:30:00.123456789Z"
  var configuration = ""
  var purges: [EntrySequence] = []

  // MARK: What is wrong with it

  /// Answers instead of the stream, when it gives something: replies, in order.
  var answerInstead: (Request) -> [String]? = { _ in nil }
  /// What becomes of an append; true: do as usual.
  var appendAsUsual: (Request) -> Bool = { _ in true }
  /// How many entries at the end the replica does not have that answers the next read.
  var replicaLag: () -> UInt64 = { 0 }
  /// How many times, and after how many ms each, an entry comes by the tail.
  var tailDelaysMs: () -> [Int64] = { [0] }
  var replyDelayMs: () -> Int64 = { 0 }
  var readBytesMax: () -> Int = { .max }
  var info = #"{"server_name":"n1","version":"2.15.1","headers":true,"jetstream":true,"max_payload":1048576}"#
  var reports = [ModelServer.report("n1")]
  var isRefusing = false

  static func report(_ name: String, _ version: String = "2.15.1", _ isAlways: Bool = true) -> String {
    #"{"server":{"name":"\#(name)","ver":"\#(version)"},"data":{"config":{"sync_interval":1,"sync_always":\#(isAlways)}}}"#
  }

  // MARK: The connection

  var nowMs: Int64 = 0
  private(set) var connections = 0
  private(set) var requests: [Request] = []
  private var isOpen = false
  private var received: [UInt8] = []
  private var outgoing: [UInt8] = []
  private var delayed: [(atMs: Int64, order: Int, bytes: [UInt8])] = []
  private var order = 0
  private var tailNumber = 0

  func open(_ address: ServerAddress) throws(SystemError) {
    if isRefusing { throw SystemError(operation: "connect to \(address)", number: 111) }
    connections += 1
    (isOpen, received, outgoing, delayed) = (true, [], Array("INFO \(info)\r\n".utf8), [])
  }

  func close() { isOpen = false }

  func read(into buffer: UnsafeMutableRawBufferPointer) -> TransferResult {
    guard isOpen else { return .closed }
    for piece in delayed.filter({ $0.atMs <= nowMs }).sorted(by: { ($0.atMs, $0.order) < ($1.atMs, $1.order) }) {
      outgoing += piece.bytes
    }
    delayed.removeAll { $0.atMs <= nowMs }
    let count = min(buffer.count, outgoing.count, readBytesMax())
    guard count > 0 else { return .wouldBlock }
    buffer.copyBytes(from: outgoing[..<count])
    outgoing.removeFirst(count)
    return .bytes(count)
  }

  func write(_ bytes: UnsafeRawBufferPointer) -> TransferResult {
    guard isOpen else { return .closed }
    received += bytes
    while isOpen, takeCommand() {}
    return .bytes(bytes.count)
  }

  private func takeCommand() -> Bool {
    guard let end = received.firstIndex(of: UInt8(ascii: "\n")) else { return false }
    let words = String(decoding: received[..<(end - 1)], as: UTF8.self).split(separator: " ").map(String.init)
    let start = end + 1
    switch words[0] {
    case "PUB", "HPUB":
      let total = Int(words[words.count - 1])!
      let headerBytes = words[0] == "HPUB" ? Int(words[3])! : 0
      guard received.count >= start + total + 2 else { return false }
      let header = String(decoding: received[start..<(start + headerBytes)], as: UTF8.self)
      let value = header.split(separator: "\r\n").dropFirst().first.map { $0.split(separator: ": ") }
      precondition(value == nil || value![0] == "Nats-Expected-Last-Sequence", "the one header that is allowed")
      let payload = Array(received[(start + headerBytes)..<(start + total)])
      received.removeFirst(start + total + 2)
      perform(Request(subject: words[1], reply: words[2], header: value.flatMap { UInt64($0[1]) }, payload: payload))
      return true
    case "SUB" where words[1].hasPrefix("escr."): tailNumber = Int(words[2])!
    case "PING": outgoing += Array("PONG\r\n".utf8)
    default: break
    }
    received.removeFirst(start)
    return true
  }

  // MARK: What it does

  private func perform(_ request: Request) {
    requests.append(request)
    if let answers = answerInstead(request) {
      for answer in answers { reply(request, answer) }
      return
    }
    switch request.subject.split(separator: ".").dropLast(request.subject.hasPrefix("$JS") ? 1 : 0).joined(
      separator: ".")
    {
    case "esc.0": if appendAsUsual(request) { append(request) }
    case "$JS.API.STREAM.INFO": reply(request, streamInfo)
    case "$JS.API.STREAM.CREATE":
      created = "2026-03-01T09:30:00Z"
      configuration = request.text
      reply(request, streamInfo)
    case "$JS.API.DIRECT.GET": directGet(request)
    case "$JS.API.STREAM.MSG.GET": messageGet(request)
    case "$JS.API.STREAM.PURGE":
      first = max(first, number("seq", request))
      purges.append(first)
      reply(request, #"{"success":true,"purged":1}"#)
    case "$SYS.REQ.SERVER.PING.JSZ": for report in reports { reply(request, report) }
    default: preconditionFailure("nothing else is ever asked: \(request.subject)")
    }
  }

  /// Stores it, if it fits, and answers.
  func append(_ request: Request) { reply(request, store(request)) }

  func store(_ request: Request) -> String {
    guard request.header == last else {
      return
        #"{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: \#(last)"},"stream":"ESC-0","seq":0}"#
    }
    guard stored.dropFirst(Int(first) - 1).reduce(0, { $0 + $1.count }) + request.payload.count <= bytesMax else {
      return #"{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"},"stream":"ESC-0","seq":0}"#
    }
    stored.append(request.payload)
    let headers = "NATS/1.0\r\nNats-Stream: ESC-0\r\nNats-Sequence: \(last)\r\nNats-Last-Sequence: \(last - 1)\r\n\r\n"
    for delayMs in tailDelaysMs() { sayTail(headers, request.payload, delayMs) }
    return #"{"stream":"ESC-0","seq":\#(last)}"#
  }

  /// Something that comes by the subject of the tail.
  func sayTail(_ headers: String, _ payload: [UInt8], _ delayMs: Int64 = 0) {
    let line = "HMSG escr.0 \(tailNumber) \(headers.utf8.count) \(headers.utf8.count + payload.count)\r\n"
    say(Array(line.utf8) + Array(headers.utf8) + payload + Array("\r\n".utf8), delayMs)
  }

  private func directGet(_ request: Request) {
    let end = last - min(last, replicaLag())
    var next = max(first, number("seq", request))
    guard next <= end else { return reply(request, headers: "NATS/1.0 404 Message Not Found\r\n\r\n", []) }
    var rest = Int(number("max_bytes", request))
    repeat {
      let entry = stored[Int(next) - 1]
      reply(request, headers: "NATS/1.0\r\nNats-Sequence: \(next)\r\nNats-Last-Sequence: \(next - 1)\r\n\r\n", entry)
      rest -= entry.count
      next += 1
    } while rest > 0 && next <= end
    reply(request, headers: "NATS/1.0 204 EOB\r\nNats-Num-Pending: 0\r\n\r\n", [])
  }

  private func messageGet(_ request: Request) {
    let wanted = number("seq", request)
    guard wanted >= first, wanted <= last else {
      return reply(request, #"{"error":{"code":404,"err_code":10037,"description":"no message found"}}"#)
    }
    var data = ByteBuffer()
    stored[Int(wanted) - 1].withBytes { data.appendBase64($0) }
    reply(request, #"{"message":{"seq":\#(wanted),"data":"\#(String(decoding: data.readable, as: UTF8.self))"}}"#)
  }

  var streamInfo: String {
    guard let created else {
      return #"{"error":{"code":404,"err_code":10059,"description":"stream not found"}}"#
    }
    let there = last + 1 - first
    let bytes = stored.dropFirst(Int(first) - 1).reduce(0) { $0 + $1.count }
    let bounds = there == 0 ? (last == 0 ? 0 : first) : first
    return #"{"config":\#(configuration),"created":"\#(created)","state":{"messages":\#(there),"bytes":\#(bytes),"#
      + #""first_seq":\#(bounds),"last_seq":\#(last)},"cluster":{"leader":"n1"}}"#
  }

  private func number(_ name: String, _ request: Request) -> UInt64 {
    let text = request.text
    guard let start = text.firstRange(of: "\"\(name)\":")?.upperBound else { return 0 }
    return UInt64(text[start...].prefix { $0.isNumber })!
  }

  // MARK: What it says

  func reply(_ request: Request, _ text: String) {
    if text.hasPrefix("NATS/1.0") { return reply(request, headers: text, []) }
    say(Array("MSG \(request.reply) 1 \(text.utf8.count)\r\n\(text)\r\n".utf8), replyDelayMs())
  }

  func reply(_ request: Request, headers: String, _ payload: [UInt8]) {
    let line = "HMSG \(request.reply) 1 \(headers.utf8.count) \(headers.utf8.count + payload.count)\r\n"
    say(Array(line.utf8) + Array(headers.utf8) + payload + Array("\r\n".utf8), replyDelayMs())
  }

  private func say(_ bytes: [UInt8], _ delayMs: Int64) {
    order += 1
    delayed.append((nowMs + delayMs, order, bytes))
  }
}
