// A client: one connection at a time, requests pipelined on it, and what it makes of the lines that it hears.
//
// Holds: the ledger hears a line when its last byte is written by the server; the client acts on it only when it has read so
// far. A connection that ends takes its unanswered requests with it; a new one begins when the server has closed the old one,
// so that nothing of the old one can still be done.
// Leaves to others: what to ask (Client+Asking), judging (WireLedger).

import Foundation
import Primitives

/// A request that is not answered.
struct Asked {
  enum About {
    case message(MessageKey, MessageRequest)
    case subscribe(topic: String, group: String?)
    case fetch(GroupKey, waits: Bool)
    case ack(GroupKey, TopicOffset)
    case list
    case enqueue(queue: String, version: Int)
    case consume(queue: String)
    case dequeue(queue: String)
    case settle(queue: String, version: Int, isAck: Bool)
    case rocketSubscribe
    /// Its reply says nothing that could be wrong.
    case plain

    /// Whether it may be refused because the disk is full.
    var asksForSpace: Bool {
      switch self {
      case .message(_, .cancel), .message(_, .get), .ack, .list, .dequeue, .settle, .consume: false
      case .message, .subscribe, .fetch, .enqueue, .rocketSubscribe, .plain: true
      }
    }
  }

  var rid: Int
  var about: About
  /// When it was sent, in events of the run.
  var sent: Int
}

final class Client {
  struct InHand {
    var group: GroupKey
    var offset: TopicOffset
  }
  struct QueuedInHand {
    var queue: String
    var version: Int
    var tag: Int
  }
  struct RocketInHand {
    var sub: Int
    var id: String
    var offset: TopicOffset
  }

  let number: Int
  unowned let run: ServerSimulation
  var ledger: WireLedger {
    get { run.ledger }
    _modify { yield &run.ledger }
  }
  var nowMs: UnixMs { run.time.nowMs }

  // The connection.
  private(set) var socket: SimulatedSocket?
  private(set) var connection = 0
  private var unfinishedLine: [UInt8] = []
  private var heardBytes = 0
  private var readBytes = 0
  private var toRead: [(end: Int, act: () -> Void)] = []
  private(set) var asked: [Asked] = []
  private var nextRid = 1
  private var isEnding = false

  // What it has from the server, on this connection.
  var subs: [Int: (topic: String, group: String?)] = [:]
  var consumerTags: [String: String] = [:]
  var rocketSub: Int?
  var inHand: [InHand] = []
  var queuedInHand: [QueuedInHand] = []
  var rocketInHand: [RocketInHand] = []

  // Its messages.
  var busyKeys: Set<MessageKey> = []
  var generations = [Int](repeating: 0, count: 10)
  var retries: [(MessageKey, MessageRequest)] = []
  /// Handles of delayed RocketMQ messages.
  var handles: [(key: MessageKey, handle: String)] = []
  /// Hears every line of an audit; set by the audit only.
  var listens: (([String: Any]) -> Void)?

  init(_ number: Int, _ run: ServerSimulation) {
    self.number = number
    self.run = run
  }

  var isConnected: Bool { socket != nil && !isEnding }
  var hasUnanswered: Bool { !asked.isEmpty }

  // MARK: Connections

  func connect() {
    precondition(socket == nil, "one connection at a time")
    let socket = run.network.connect()
    socket.onWrite = { [unowned self] bytes in hear(bytes) }
    self.socket = socket
    run.connections += 1
    connection = run.connections
    unfinishedLine = []
    heardBytes = 0
    readBytes = 0
  }

  /// Goes without a word.
  func reset() {
    guard let socket else { return }
    run.network.reset(socket)
    isEnding = true
  }

  /// Ends its side, and reads on.
  func finish() {
    guard let socket else { return }
    run.network.finish(socket)
    isEnding = true
  }

  /// Notes that the server has closed the connection, or is gone.
  func noteEnd(serverIsGone: Bool = false) {
    guard let socket, socket.isClosedByServer || serverIsGone else { return }
    // What was written before the end can still be read, but nothing can be asked.
    for request in asked { giveUp(request) }
    asked = []
    subs = [:]
    consumerTags = [:]
    rocketSub = nil
    inHand = []
    queuedInHand = []
    rocketInHand = []
    toRead = []
    isEnding = false
    self.socket = nil
  }

  private func giveUp(_ request: Asked) {
    if case .message(let key, let what) = request.about {
      ledger.giveUp(key, nowMs: nowMs)
      busyKeys.remove(key)
      if case .schedule(_, _, let ifExists) = what, ifExists == "keep", key.topic != "rocket" {
        retries.append((key, what))
      }
    }
  }

  /// Reads up to `count` bytes.
  func read(_ count: Int) {
    guard let socket, !socket.isReset else { return }
    let count = min(count, socket.unread)
    socket.unread -= count
    readBytes += count
    while let first = toRead.first, first.end <= readBytes {
      toRead.removeFirst()
      first.act()
    }
    // The server has said goodbye: so does the client.
    if socket.serverHasFinished, socket.unread == 0, !socket.clientFinishes { finish() }
  }

  // MARK: Asking

  /// Sends a request; `fields` as JSON without braces.
  func ask(_ op: String, _ fields: String, _ about: Asked.About) {
    guard let socket else { return }
    let line = "{\"op\":\"\(op)\",\"rid\":\(nextRid)\(fields.isEmpty ? "" : ",")\(fields)}\n"
    run.events += 1
    asked.append(Asked(rid: nextRid, about: about, sent: run.events))
    nextRid += 1
    if case .message(let key, let request) = about {
      busyKeys.insert(key)
      ledger.ask(key, request, nowMs: nowMs)
    }
    socket.onTheWay += Array(line.utf8)
    run.trace { "\(self.number)> \(line)" }
    run.count(op)
  }

  // MARK: Hearing

  private func hear(_ bytes: UnsafeRawBufferPointer) {
    for byte in bytes {
      heardBytes += 1
      if byte != UInt8(ascii: "\n") {
        unfinishedLine.append(byte)
        continue
      }
      let line = unfinishedLine
      unfinishedLine = []
      guard let object = (try? JSONSerialization.jsonObject(with: Data(line))) as? [String: Any] else {
        return ledger.complain("no JSON: \(String(decoding: line, as: UTF8.self))")
      }
      run.events += 1
      run.trace { "\(self.number)< \(String(decoding: line, as: UTF8.self))\n" }
      listens?(object)
      if let event = object["event"] as? String {
        hear(event: event, object)
      } else {
        hear(reply: object)
      }
    }
  }

  private func hear(reply: [String: Any]) {
    guard let rid = reply["rid"] as? Int, let place = asked.firstIndex(where: { $0.rid == rid }) else {
      if reply["error"] as? String == "busy" { return }
      return ledger.complain("client \(number) heard a reply to nothing: \(reply)")
    }
    for earlier in asked[..<place] {
      if case .fetch(_, waits: true) = earlier.about { continue }
      ledger.complain("client \(number): the reply to request \(rid) came before that to request \(earlier.rid)")
    }
    let request = asked.remove(at: place)
    if case .message(let key, _) = request.about { busyKeys.remove(key) }
    if reply["ok"] as? Bool == true {
      answered(request, reply)
    } else {
      refused(request, reply["error"] as? String ?? "", reply)
    }
  }

  private func refused(_ request: Asked, _ code: String, _ reply: [String: Any]) {
    run.count("refused: \(code)")
    if case .message(let key, _) = request.about {
      switch code {
      case "exists": ledger.answer(key, "exists", dueMs: nil, version: nil, nowMs: nowMs)
      // It may be on the disk all the same.
      case "storage_failed", "shutting_down": giveUp(request)
      default: ledger.refuse(key, nowMs: nowMs)
      }
    }
    switch code {
    case "exists", "not_found", "shutting_down", "limit_exceeded": break
    case "disk_full": if !request.about.asksForSpace { ledger.complain("\(request.about): \(reply)") }
    case "storage_failed": if !run.mayFail { ledger.complain("the store has failed: \(reply)") }
    default: ledger.complain("\(request.about) was refused: \(reply)")
    }
  }

  /// Does something once the client has read what it has heard so far.
  func whenRead(_ act: @escaping () -> Void) { toRead.append((heardBytes, act)) }
}
