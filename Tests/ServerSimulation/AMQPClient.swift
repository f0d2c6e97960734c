// A client that speaks AMQP, on the queues that the clients of lines use as well: confirmed publishes and transactions, consumers
// and gets, acknowledgements that it knows to be done when a later answer has come.
//
// Holds: the ledger hears what the server writes, at the moment when it is written.
// Leaves to others: frames (AMQPPeer), judging (WireLedger).

import AMQPProtocol
import Primitives

@testable import Server

final class AMQPClient {
  private struct InHand {
    var queue: String
    var version: Int
    var tag: UInt64
  }
  private struct Sent {
    var queue: String
    var version: Int
  }
  private static let queues = ["work", "letters", "short"]
  /// Channel 1 has confirms and consumers, channel 2 transactions.
  private static let (plain, transactional): (UInt16, UInt16) = (1, 2)

  private let number: Int
  private unowned let run: ServerSimulation
  private var ledger: WireLedger {
    get { run.ledger }
    _modify { yield &run.ledger }
  }
  private var peer: AMQPPeer?
  private var isEnding = false
  private var isOpen = false

  private var consumers: [String: String] = [:]
  private var inHand: [InHand] = []
  /// Publishes without a confirm, in their order; the number of the first.
  private var unconfirmed: [Sent] = []
  private var firstNumber: UInt64 = 1
  private var gets: [String] = []
  /// What was acknowledged before each `channel.flow` that is not answered, and since the last one.
  private var flows: [[Sent]] = []
  private var acknowledged: [Sent] = []
  /// What waits for a commit, and what each commit that is not answered has brought.
  private var held: [Sent] = []
  private var commits: [[Sent]] = []

  init(_ number: Int, _ run: ServerSimulation) {
    self.number = number
    self.run = run
  }

  /// Whether something is still to be answered.
  var hasUnanswered: Bool { !unanswered.isEmpty }

  /// The same, for people.
  var unanswered: String {
    guard peer != nil, !isEnding else { return "" }
    let waits = unconfirmed.map { "\($0)" } + gets + flows.map { "flow \($0)" } + commits.map { "commit \($0)" }
    return isOpen ? waits.joined(separator: ", ") : "amqp \(number) is not open"
  }

  private func random(_ range: Range<Int>) -> Int { Int.random(in: range, using: &run.random) }
  private func pick<T>(_ choices: [T]) -> T { choices[random(0..<choices.count)] }

  // MARK: Connections

  private func connect() {
    let peer = AMQPPeer(run.network, listener: 1) { [unowned self] in hear($0) }
    self.peer = peer
    peer.send(AMQPPeer.opening())
    peer.send { out in
      out.append(.channelOpen, channel: Self.plain)
      out.append(ConfirmSelect { $0.noWait = false }, channel: Self.plain)
      out.append(.channelOpen, channel: Self.transactional)
      out.append(.txSelect, channel: Self.transactional)
    }
    for queue in ["work", "letters"] { declare(queue, []) }
    declare(
      "short",
      [
        FieldEntry("x-message-ttl", .int64(300)), FieldEntry("x-dead-letter-exchange", .text("")),
        FieldEntry("x-dead-letter-routing-key", .text("letters")),
      ])
  }

  private func declare(_ name: String, _ arguments: [FieldEntry]) {
    var table = ByteBuffer()
    table.append(fields: arguments)
    name.withBytes { queue in
      peer?.send { out in
        let declare = QueueDeclare {
          $0.queue = queue
          $0.durable = true
          $0.arguments = FieldTable(table.readable)
        }
        out.append(declare, channel: Self.plain)
      }
    }
  }

  /// Goes without a word.
  func reset() {
    guard let peer else { return }
    run.network.reset(peer.socket)
    isEnding = true
  }

  func noteEnd(serverIsGone: Bool = false) {
    guard let peer, peer.socket.isClosedByServer || serverIsGone else { return }
    self.peer = nil
    (isEnding, isOpen) = (false, false)
    (consumers, inHand, unconfirmed, firstNumber) = ([:], [], [], 1)
    (gets, flows, acknowledged, held, commits) = ([], [], [], [], [])
  }

  func read(_ count: Int) {
    guard let peer else { return }
    peer.read(count)
    if peer.socket.serverHasFinished, peer.socket.unread == 0, !peer.socket.clientFinishes {
      run.network.finish(peer.socket)
      isEnding = true
    }
  }

  // MARK: Asking

  /// Does a few things.
  func act() {
    noteEnd()
    if peer == nil {
      guard random(0..<3) == 0 else { return }
      connect()
    }
    if random(0..<3) > 0 { read(Bool.random(using: &run.random) ? .max : random(0..<200)) }
    guard let peer, !isEnding else { return }
    for _ in 0..<random(0..<4) { askSomething(peer) }
    if random(0..<150) == 0 { reset() }
  }

  private func askSomething(_ peer: AMQPPeer) {
    switch random(0..<20) {
    case 0..<7: publish(peer)
    case 7..<9: publishHeld(peer)
    case 9..<11: endTransaction(peer)
    case 11: consume(peer)
    case 12: get(peer)
    case 13..<18: settle(peer)
    default:
      peer.send { out in out.append(ChannelFlow { $0.active = true }, channel: Self.plain) }
      flows.append(acknowledged)
      acknowledged = []
      run.count("amqp flow")
    }
  }

  private func publish(_ peer: AMQPPeer) {
    let sent = Sent(queue: pick(Self.queues), version: run.makeVersion(nil))
    note(sent)
    send(sent, Self.plain, peer)
    unconfirmed.append(sent)
    run.count("amqp publish")
  }

  private func note(_ sent: Sent) {
    ledger.queues[sent.queue, default: [:]][sent.version] = QueuedMessage()
    if sent.queue == "short" { ledger.queues["letters", default: [:]][sent.version] = QueuedMessage() }
  }

  private func publishHeld(_ peer: AMQPPeer) {
    // Nobody has sent it before the commit is asked for.
    let sent = Sent(queue: pick(Self.queues), version: run.makeVersion(nil))
    send(sent, Self.transactional, peer)
    held.append(sent)
    run.count("amqp publish held")
  }

  private func send(_ sent: Sent, _ channel: UInt16, _ peer: AMQPPeer) {
    var properties = ByteBuffer()
    var basic = BasicProperties()
    basic.deliveryMode = 2
    properties.append(basic)
    sent.queue.withBytes { queue in
      "\(sent.version)".withBytes { body in
        peer.send { out in
          out.append(
            BasicPublish { $0.routingKey = queue }, channel: channel, properties: properties.readable, body: body,
            maxFrameBytes: 4096)
        }
      }
    }
  }

  private func endTransaction(_ peer: AMQPPeer) {
    if random(0..<3) == 0 {
      peer.send { out in out.append(.txRollback, channel: Self.transactional) }
    } else {
      for sent in held { note(sent) }
      peer.send { out in out.append(.txCommit, channel: Self.transactional) }
      commits.append(held)
    }
    held = []
    run.count("amqp end of transaction")
  }

  private func consume(_ peer: AMQPPeer) {
    let queue = pick(["work", "letters"])
    let tag = "\(number).\(consumers.count)"
    consumers[tag] = queue
    let prefetch = UInt16(random(1..<5))
    tag.withBytes { tag in
      queue.withBytes { queue in
        peer.send { out in
          out.append(BasicQos { $0.prefetchCount = prefetch }, channel: Self.plain)
          let consume = BasicConsume {
            $0.queue = queue
            $0.consumerTag = tag
          }
          out.append(consume, channel: Self.plain)
        }
      }
    }
    run.count("amqp consume")
  }

  private func get(_ peer: AMQPPeer) {
    let queue = pick(["work", "letters"])
    queue.withBytes { name in peer.send { out in out.append(BasicGet { $0.queue = name }, channel: Self.plain) } }
    gets.append(queue)
    run.count("amqp get")
  }

  private func settle(_ peer: AMQPPeer) {
    guard !inHand.isEmpty else { return }
    let one = inHand.remove(at: random(0..<inHand.count))
    if random(0..<3) > 0 {
      ledger.queues[one.queue]?[one.version]?.isAckAsked = true
      peer.send { out in out.append(BasicAck { $0.deliveryTag = one.tag }, channel: Self.plain) }
      acknowledged.append(Sent(queue: one.queue, version: one.version))
      run.count("amqp ack")
    } else {
      let refusal = BasicReject {
        $0.deliveryTag = one.tag
        $0.requeue = true
      }
      peer.send { out in out.append(refusal, channel: Self.plain) }
      run.count("amqp reject")
    }
  }

  // MARK: Hearing

  private func hear(_ heard: HeardMethod) {
    switch heard.method {
    case .connectionOpenOk: isOpen = true
    case .basicAck: confirm(heard)
    case .basicDeliver: delivered(heard)
    case .basicGetOk: got(heard)
    case .basicGetEmpty: gets.removeFirst()
    case .channelFlowOk:
      // Acknowledgements before it are durable by now.
      let epoch = ledger.epoch
      for sent in flows.removeFirst() { ledger.queues[sent.queue]?[sent.version]?.ackedIn = epoch }
    case .txCommitOk: for sent in commits.removeFirst() { ledger.queues[sent.queue]?[sent.version]?.isConfirmed = true }
    case .connectionClose, .channelClose: closed(heard)
    case .basicNack, .basicReturn, .basicCancel: ledger.complain("amqp \(number) heard \(heard.method.name)")
    default: return
    }
  }

  private func confirm(_ heard: HeardMethod) {
    guard let (tag, isMultiple) = heard.decoded(BasicAck.self, { ($0.deliveryTag, $0.multiple) }),
      tag >= firstNumber, isMultiple || tag == firstNumber, tag - firstNumber < unconfirmed.count
    else { return ledger.complain("amqp \(number) heard a confirm of nothing, next is \(firstNumber)") }
    let count = Int(tag - firstNumber) + 1
    for sent in unconfirmed[..<count] { ledger.queues[sent.queue]?[sent.version]?.isConfirmed = true }
    unconfirmed.removeFirst(count)
    firstNumber = tag + 1
  }

  private func delivered(_ heard: HeardMethod) {
    let fields = heard.decoded(BasicDeliver.self) {
      (String(decoding: $0.consumerTag, as: UTF8.self), $0.deliveryTag, $0.redelivered)
    }
    guard let (consumer, tag, isRedelivered) = fields, let queue = consumers[consumer] else {
      return ledger.complain("amqp \(number) heard a delivery for no consumer")
    }
    take(heard, queue, tag, isRedelivered)
  }

  private func got(_ heard: HeardMethod) {
    guard let (tag, isRedelivered) = heard.decoded(BasicGetOk.self, { ($0.deliveryTag, $0.redelivered) }) else {
      return ledger.complain("amqp \(number) heard a malformed answer to a get")
    }
    take(heard, gets.removeFirst(), tag, isRedelivered)
  }

  private func take(_ heard: HeardMethod, _ queue: String, _ tag: UInt64, _ isRedelivered: Bool) {
    guard let version = Int(String(decoding: heard.body, as: UTF8.self)) else {
      return ledger.complain("amqp \(number) heard a strange body")
    }
    run.count("amqp delivery")
    ledger.deliver(queue, version: version, isRedelivered: isRedelivered)
    peer?.whenRead { [unowned self] in inHand.append(InHand(queue: queue, version: version, tag: tag)) }
  }

  /// A client that is slow, a store that has failed and a server that stops are no faults of what was asked.
  private func closed(_ heard: HeardMethod) {
    let reason =
      heard.method == .channelClose
      ? heard.decoded(ChannelClose.self) { ($0.replyCode, String(decoding: $0.replyText, as: UTF8.self)) }
      : heard.decoded(ConnectionClose.self) { ($0.replyCode, String(decoding: $0.replyText, as: UTF8.self)) }
    let (code, text) = reason ?? (0, "")
    let isMeant = code == 320 || code == 541 && run.mayFail || text.contains("timed out")
    if !isMeant { ledger.complain("amqp \(number) was closed: \(code) \(text)") }
    isEnding = true
    peer?.whenRead { [unowned self] in reset() }
  }
}
