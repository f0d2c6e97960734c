// The line protocol at the front of a node: each line goes to the shard that it is about, answers come back in order.
//
// Holds: a line reaches a shard as the client wrote it; what is about no shard, or about one that another node leads, is
// answered here. When a shard that the connection has come to is not led here any more, the connection is closed: what was not
// answered is unknown.
// Leaves to others: what operations do (the sessions behind), the order of answers (ReplyOrder).

import Access
import Cluster
import LineProtocol
import Platform
import Primitives
import Server

/// Relays a connection of the line protocol.
final class LineRelay: Relay {
  let front: Front
  unowned let connection: FrontConnection
  private var framer: LineFramer
  private var order: ReplyOrder
  /// What shards have sent of a line that is not whole.
  private var unfinished: [Int: [UInt8]] = [:]
  /// Who the client is; nil before it has said so.
  private(set) var identity: Identity?
  /// Where it last sent a half message: its transactions are there.
  private var transactionShard = 0
  private var isClosing = false

  init(_ front: Front, _ connection: FrontConnection) {
    self.front = front
    self.connection = connection
    framer = LineFramer(maxLineBytes: front.settings.server.lineBytesMax)
    let secret = [SystemRandom.next(), SystemRandom.next()].map { String($0, radix: 36) }.joined()
    order = ReplyOrder(secret: secret)
    identity = front.admission.anybody
  }

  var heldBytes: Int { order.heldBytes + framer.bufferedBytes }

  // MARK: The client

  func clientSent(_ bytes: UnsafeRawBufferPointer) {
    guard !isClosing else { return }
    framer.append(bytes)
    while !isClosing {
      switch framer.next() {
      case .line(let line): if !RequestReader.isBlank(line) { take(line) }
      case .needsMore:
        if identity == nil, framer.bufferedBytes > Self.strangerLineBytesMax { refuseStranger() }
        return
      case .tooLong:
        let text = "a line is longer than \(front.settings.server.lineBytesMax) bytes"
        return refuseAndClose(Refusal(code: .lineTooLong, message: text))
      }
    }
  }

  private static let stranger = Refusal(code: .unauthenticated, message: "say 'hello' with a good 'token' first")

  /// The longest line before a good `hello`.
  private static let strangerLineBytesMax = 8192

  private func refuseStranger() {
    let text = "a line is longer than \(Self.strangerLineBytesMax) bytes; say 'hello' with a good 'token' first"
    refuseAndClose(Refusal(code: .lineTooLong, message: text))
  }

  func clientEnded() {
    // What was asked is still answered: the shards see the end, and close when they have.
    guard !connection.shards.isEmpty else { return connection.close() }
    for socket in connection.shards.values { front.endOutput(socket) }
  }

  private func take(_ line: UnsafeRawBufferPointer) {
    if identity == nil, line.count > Self.strangerLineBytesMax { return refuseStranger() }
    let reader = front.reader
    do throws(Refusal) { try reader.parse(line) } catch { return refuseAndClose(error) }
    do throws(Refusal) {
      let rid = try reader.rid()
      guard let name = try reader.string(.op) else { throw .missing(.op) }
      if try answersHere(String(decoding: name.prefix(32), as: UTF8.self), rid) { return }
      if identity == nil { throw Self.stranger }
      pass(line, to: try shard(of: name), rid)
    } catch {
      answer { $0.appendRefusal(error, rid: (try? reader.rid()) ?? nil) }
    }
  }

  /// The shard that the request is about.
  private func shard(of operation: UnsafeRawBufferPointer) throws(Refusal) -> Int {
    let reader = front.reader
    if let number = try shardField() { return number }
    if operation.starts(with: "rabbitmq.".utf8) { return "/".withBytes { front.places.shard(ofVirtualHost: $0) } }
    if let topic = try reader.string(.topic) {
      let shard = front.places.shard(ofTopic: topic)
      if operation.elementsEqual("rocketmq.sendHalf".utf8) { transactionShard = shard }
      return shard
    }
    if let number = try reader.integer(.sub) {
      guard let shard = front.places.shard(ofSubscription: number) else {
        throw .invalid(.sub, mustBe: "a number that 'subscribe' gave")
      }
      return shard
    }
    return operation.starts(with: "rocketmq.".utf8) ? transactionShard : 0
  }

  /// The shard that the request names.
  private func shardField() throws(Refusal) -> Int? {
    guard let number = try front.reader.integer(.shard) else { return nil }
    guard number >= 0, number < Int64(front.settings.shards) else {
      throw .invalid(.shard, mustBe: "from 0 to \(front.settings.shards - 1)")
    }
    return Int(number)
  }

  private func pass(_ line: UnsafeRawBufferPointer, to shard: Int, _ rid: UnsafeRawBufferPointer?) {
    guard front.open(shard, .line, for: connection, as: identity) else {
      let view = front.shards[shard].view
      return answer { NotLeader(view, front.settings.name).append(to: &$0, rid: rid) }
    }
    if let marker = order.requestGoes(to: shard) { send(marker) }
    connection.send(to: shard, line)
    "\n".withBytes { connection.send(to: shard, $0) }
  }

  private func send(_ marker: ReplyOrder.Marker) {
    marker.line.withBytes { connection.send(to: marker.shard, $0) }
  }

  // MARK: Own answers

  /// Whether the node answers this itself; it has then.
  private func answersHere(_ name: String, _ rid: UnsafeRawBufferPointer?) throws(Refusal) -> Bool {
    if name == "hello" {
      try hello(rid)
    } else if name == "ping" {
      answer { Answers.ping(nowMs: SystemClock.wallNs() / TimeUnits.nsPerMs, rid: rid, to: &$0) }
    } else if let operation = NodeOperation(rawValue: name) {
      if identity == nil { throw Self.stranger }
      try perform(operation, rid)
    } else {
      return false
    }
    return true
  }

  private func hello(_ rid: UnsafeRawBufferPointer?) throws(Refusal) {
    let (reader, admission) = (front.reader, front.admission)
    try reader.requireOnly([.protocol, .client, .token], operation: "hello")
    identity = try Answers.identity(of: reader, admission) ?? identity
    answer { out in
      Answers.hello(
        front.settings.server, nowMs: SystemClock.wallNs() / TimeUnits.nsPerMs, rid: rid, to: &out)
    }
  }

  private func perform(_ operation: NodeOperation, _ rid: UnsafeRawBufferPointer?) throws(Refusal) {
    let reader = front.reader
    try reader.requireOnly(operation.fields, operation: operation.rawValue)
    if operation == .shards {
      let views = front.shards.map(\.view)
      return answer { ShardMap.append(views, of: front.settings.name, rid: rid, to: &$0) }
    }
    if front.admission.asksWho, identity?.allowsEverywhere(.admin) != true {
      throw Refusal(code: .forbidden, message: "this takes the right 'admin:*'")
    }
    guard let number = try shardField() else { throw .missing(.shard) }
    let shard = front.shards[number]
    if operation == .moveLeader {
      guard let to = try reader.string(.to) else { throw .missing(.to) }
      let view = shard.view
      guard view.isServing else { return answer { NotLeader(view, front.settings.name).append(to: &$0, rid: rid) } }
      shard.post(.resign(to: String(decoding: to, as: UTF8.self)))
    } else {
      shard.post(.seize)
    }
    answerDone(rid)
  }

  private func answerDone(_ rid: UnsafeRawBufferPointer?) {
    answer {
      $0.beginReply(rid: rid)
      $0.endLine()
    }
  }

  private func answer(_ write: (inout ByteBuffer) -> Void) {
    var bytes = ByteBuffer()
    write(&bytes)
    let (marker, isDue) = order.answers(Array(bytes.readable))
    if let marker { send(marker) }
    if isDue { connection.send(bytes.readable) }
  }

  private func refuseAndClose(_ refusal: Refusal) {
    answer { $0.appendRefusal(refusal, rid: nil) }
    isClosing = true
    if order.heldBytes == 0 { connection.close() }
  }

  // MARK: Shards

  func shardSent(_ shard: Int, _ bytes: UnsafeRawBufferPointer) {
    var rest = bytes
    if let begun = unfinished.removeValue(forKey: shard) {
      guard let newline = rest.firstIndex(of: UInt8(ascii: "\n")) else {
        unfinished[shard] = begun + rest
        return
      }
      take(begun + rest[...newline], from: shard)
      rest = UnsafeRawBufferPointer(rebasing: rest[(newline + 1)...])
    }
    if order.isOpen(for: shard) {
      guard let newline = rest.lastIndex(of: UInt8(ascii: "\n")) else { return keep(rest, of: shard) }
      connection.send(UnsafeRawBufferPointer(rebasing: rest[...newline]))
      return keep(UnsafeRawBufferPointer(rebasing: rest[(newline + 1)...]), of: shard)
    }
    while let newline = rest.firstIndex(of: UInt8(ascii: "\n")) {
      order.take(UnsafeRawBufferPointer(rebasing: rest[...newline]), from: shard) { connection.send($0) }
      rest = UnsafeRawBufferPointer(rebasing: rest[(newline + 1)...])
    }
    keep(rest, of: shard)
    if isClosing, order.heldBytes == 0 { connection.close() }
  }

  private func take(_ line: [UInt8], from shard: Int) {
    line.withUnsafeBytes { order.take($0, from: shard) { connection.send($0) } }
  }

  private func keep(_ bytes: UnsafeRawBufferPointer, of shard: Int) {
    if !bytes.isEmpty { unfinished[shard] = Array(bytes) }
  }

  func shardEnded(_ shard: Int) {
    if connection.client?.inputEnded == true {
      if connection.shards.isEmpty { connection.close() }
      return
    }
    // The session behind has ended by itself, or the shard is led elsewhere.
    let view = front.shards[shard].view
    if !view.isServing, !isClosing { connection.send { NotLeader(view, front.settings.name).appendEvent(to: &$0) } }
    isClosing = true
    connection.close()
  }

  // MARK: Access

  /// The access file was read again.
  func accessChanged(_ old: AccessFile) {
    guard let identity else { return }
    self.identity = front.admission.renewed(identity, old)
  }
}
