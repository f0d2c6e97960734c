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
  /// The connection is another relay's now.
  private var isSpliced = false

  init(_ front: Front, _ connection: FrontConnection) {
    self.front = front
    self.connection = connection
    framer = LineFramer(maxLineBytes: front.settings.server.lineBytesMax)
    let secret = [SystemRandom.next(), SystemRandom.next()].map { String($0, radix: 36) }.joined()
    order = ReplyOrder(secret: secret)
    identity = front.admission.anybody
    if identity != nil { connection.openByMs = nil }
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

  /// The longest line before a good `hello`.
  private static let strangerLineBytesMax = 8192

  private func refuseStranger() {
    let text = "a line is longer than \(Self.strangerLineBytesMax) bytes; say 'hello' with a good 'token' first"
    refuseAndClose(Refusal(code: .lineTooLong, message: text))
  }

  func clientEnded() {
    // What was asked is still answered: the shards see the end, and close when they have.
    guard !connection.shards.isEmpty else { return connection.close() }
    for shard in connection.shards.keys { connection.endOutput(to: shard) }
  }

  private func take(_ line: UnsafeRawBufferPointer) {
    guard !isSpliced else { return }
    if identity == nil, line.count > Self.strangerLineBytesMax { return refuseStranger() }
    let reader = front.reader
    do throws(Refusal) { try reader.parse(line) } catch { return refuseAndClose(error) }
    do throws(Refusal) {
      let rid = try reader.rid()
      guard let name = try reader.string(.op) else { throw .missing(.op) }
      if try answersHere(String(decoding: name.prefix(32), as: UTF8.self), rid) { return }
      if identity == nil { throw NodeRequest.stranger }
      pass(line, to: try request.shard(of: name, &transactionShard), rid)
    } catch {
      answer { $0.appendRefusal(error, rid: (try? reader.rid()) ?? nil) }
    }
  }

  private var request: NodeRequest { NodeRequest(front: front, identity: identity) }

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
    } else if name == "cluster.splice" {
      try splice(rid)
    } else if name == "cluster.note" {
      try note(rid)
    } else if name == "cluster.copy" {
      try copy(rid)
    } else if let operation = NodeOperation(rawValue: name) {
      var bytes = ByteBuffer()
      try request.perform(operation, rid: rid, to: &bytes)
      answer { $0.append(bytes.readable) }
    } else {
      return false
    }
    return true
  }

  private func hello(_ rid: UnsafeRawBufferPointer?) throws(Refusal) {
    let (reader, admission) = (front.reader, front.admission)
    try reader.requireOnly([.protocol, .client, .token], operation: "hello")
    identity = try Answers.identity(of: reader, admission) ?? identity
    connection.openByMs = nil
    answer { out in
      Answers.hello(
        front.settings.server, nowMs: SystemClock.wallNs() / TimeUnits.nsPerMs, rid: rid, to: &out)
    }
  }

  private func requireNode() throws(Refusal) {
    guard NodeSecret.isGood(try front.reader.string(.secret), front.settings.secret, from: connection.peer) else {
      throw Refusal(code: .forbidden, message: "this is for nodes of the cluster, which show its secret")
    }
  }

  /// Another node tells how far its checkpoint of a shard reaches.
  private func note(_ rid: UnsafeRawBufferPointer?) throws(Refusal) {
    let reader = front.reader
    try reader.requireOnly([.shard, .node, .address, .sequence, .isReady, .secret], operation: "cluster.note")
    try requireNode()
    var (shard, note) = try nodeAndShard()
    guard let sequence = try reader.integer(.sequence), sequence >= 0 else { throw .missing(.sequence) }
    let view = front.shards[shard].view
    guard view.isServing else { return answer { NotLeader(view, front.settings.name).append(to: &$0, rid: rid) } }
    note.streamSequence = UInt64(sequence)
    note.isReady = try reader.boolean(.isReady) ?? false
    front.shards[shard].post(.note(note))
    answer {
      $0.beginReply(rid: rid)
      $0.endLine()
    }
  }

  /// The shard that another node speaks of, and who it is.
  private func nodeAndShard() throws(Refusal) -> (shard: Int, note: CheckpointNote) {
    let reader = front.reader
    guard let shard = try request.shardField() else { throw .missing(.shard) }
    guard let node = try reader.string(.node), (1...255).contains(node.count) else { throw .missing(.node) }
    guard let address = try reader.string(.address), address.count <= 1024 else { throw .missing(.address) }
    let note = CheckpointNote(
      node: String(decoding: node, as: UTF8.self), address: String(decoding: address, as: UTF8.self),
      streamSequence: 0)
    return (shard, note)
  }

  /// Another node wants the folder of a shard: its bytes follow the answer.
  private func copy(_ rid: UnsafeRawBufferPointer?) throws(Refusal) {
    try front.reader.requireOnly([.shard, .node, .address, .secret], operation: "cluster.copy")
    try requireNode()
    let (shard, note) = try nodeAndShard()
    guard front.shards[shard].view.isReady else {
      throw Refusal(code: .badState, message: "this node has no good folder of shard \(shard) itself")
    }
    guard front.give(folderOf: shard, to: note, through: connection) else {
      throw Refusal(
        code: .busy, message: "the folder of shard \(shard) is being given to another node; try again later")
    }
    isSpliced = true
    connection.relay = PipeRelay(connection, to: shard)
    answer {
      $0.beginReply(rid: rid)
      $0.endLine()
    }
  }

  /// Another node brings a client that wants to a shard led here.
  private func splice(_ rid: UnsafeRawBufferPointer?) throws(Refusal) {
    let reader = front.reader
    try reader.requireOnly([.shard, .wire, .address, .secret], operation: "cluster.splice")
    try requireNode()
    let name = String(decoding: try reader.string(.wire) ?? UnsafeRawBufferPointer(start: nil, count: 0), as: UTF8.self)
    guard let wire = [Wire.http, .amqp, .remoting].first(where: { $0.settingName == name }) else {
      throw .invalid(.wire, mustBe: "http, amqp or rocketmq")
    }
    guard let shard = try request.shardField() else { throw .missing(.shard) }
    let address = String(
      decoding: try reader.string(.address) ?? UnsafeRawBufferPointer(start: nil, count: 0), as: UTF8.self)
    guard let peer = PeerAddress(address) else { throw .invalid(.address, mustBe: "an address of IPv4 or IPv6") }
    guard front.open(shard, wire, for: connection, as: nil, peer: peer) else {
      let view = front.shards[shard].view
      return answer { NotLeader(view, front.settings.name).append(to: &$0, rid: rid) }
    }
    isSpliced = true
    connection.relay = PipeRelay(connection, to: shard)
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
