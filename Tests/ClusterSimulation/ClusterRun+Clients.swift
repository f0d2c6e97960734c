// What clients ask of whoever leads, and what they make of the answers.

import Broker
import Cluster
import Engine
import Primitives
import SimulatedStream

extension ClusterRun {
  func bytes(_ text: String) -> UnsafeRawBufferPointer {
    // Kept for the whole run: commands only look at them.
    if let known = texts[text] { return UnsafeRawBufferPointer(known) }
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: text.utf8.count, alignment: 1)
    memory.copyBytes(from: text.utf8)
    texts[text] = memory
    return UnsafeRawBufferPointer(memory)
  }

  /// A few commands of clients.
  func command(_ node: SimulatedNode, _ engine: Engine) {
    for _ in 0..<Int.random(in: 0...3, using: &world.random) {
      // A refusal or a wait for the disk tells clients nothing. What is read for one is not for the next.
      nextConnection += 1
      defer { engine.broker.forgetColdReads(nextConnection) }
      do throws(BrokerStop) {
        switch Int.random(in: 0..<8, using: &world.random) {
        case 0...3: try schedule(node, engine.broker, newID(node))
        case 4: try scheduleAgain(node, engine.broker)
        case 5: try cancel(node, engine.broker)
        default: try acknowledge(node, engine.broker)
        }
      } catch {}
    }
  }

  private func newID(_ node: SimulatedNode) -> String {
    nextID += 1
    let id = "m\(nextID)"
    let delayMs = world.draw(world.isDrawn(oneIn: 3) ? 0...8000 : 0...1500)
    ledger.sent(
      id, topic: Int.random(in: 0..<Self.topics.count, using: &world.random),
      dueMs: TimeUnits.msRoundedDown(ns: node.serviceNs) + delayMs)
    return id
  }

  private func scheduleAgain(_ node: SimulatedNode, _ broker: Broker) throws(BrokerStop) {
    guard nextID > 0 else { return }
    let id = "m\(Int.random(in: max(1, nextID - 30)...nextID, using: &world.random))"
    // A client that was told of its cancel does not send again.
    guard let message = ledger.messages[id], !message.mayBeCancelled else { return }
    try schedule(node, broker, id)
  }

  private func schedule(_ node: SimulatedNode, _ broker: Broker, _ id: String) throws(BrokerStop) {
    guard let message = ledger.messages[id] else { return }
    // Now and then one that does not fit an entry.
    let bodyBytes = world.isDrawn(oneIn: 200) ? 200_000 : Int.random(in: 0...60, using: &world.random)
    let body = String(repeating: "b", count: bodyBytes)
    let command = ScheduleCommand(
      topic: bytes(Self.topics[message.topic]), parts: MessageParts(id: bytes(id), body: bytes(body)),
      due: .at(message.dueMs), connection: nextConnection)
    let answer = try broker.schedule(command)
    let nowMs = broker.nowMs
    wait(node, answer.gate) { $0.ledger.accepted(id, dueMs: answer.value.deliverAtMs, acceptedMs: nowMs) }
  }

  private func cancel(_ node: SimulatedNode, _ broker: Broker) throws(BrokerStop) {
    guard nextID > 0 else { return }
    let id = "m\(Int.random(in: max(1, nextID - 10)...nextID, using: &world.random))"
    guard let message = ledger.messages[id] else { return }
    ledger.sentCancel(id)
    let answer = try broker.cancel(topic: bytes(Self.topics[message.topic]), id: bytes(id))
    switch answer.value {
    case .cancelled: wait(node, answer.gate) { $0.ledger.cancelled(id) }
    case .released: wait(node, answer.gate) { $0.ledger.foundReleased(id) }
    case .unknown: break
    }
  }

  private func acknowledge(_ node: SimulatedNode, _ broker: Broker) throws(BrokerStop) {
    inHand.removeAll { hand in
      nodes.first { $0.name == hand.node }?.life != hand.life
    }
    guard let place = inHand.indices.filter({ inHand[$0].node == node.name }).randomElement(using: &world.random) else {
      return
    }
    let hand = inHand.remove(at: place)
    guard let topic = broker.findTopic(bytes(Self.topics[hand.topic])), let group = broker.findGroup(topic, bytes("g"))
    else { return }
    guard try broker.acknowledge(group, .one(hand.offset)).value == 1 else { return }
    wait(node, .endOfTurn) { $0.ledger.acknowledged(topic: hand.topic, offset: hand.offset) }
  }

  /// A node has begun to lead: its consumers come.
  func subscribe(_ node: SimulatedNode) {
    guard let broker = node.engine?.broker else { return }
    for name in Self.topics {
      var options = ConsumerOptions()
      options.credit = 8
      options.ackWaitMs = 5000
      options.maxAttempts = 1000
      options.from = .earliest
      options.createsAlways = true
      _ = try? broker.subscribe(topic: bytes(name), group: bytes("g"), sub: 1, connection: 2, options)
    }
  }

  private func wait(_ node: SimulatedNode, _ gate: Gate, _ show: @escaping (ClusterRun) -> Void) {
    guard let epoch = node.epoch else { return }
    node.waiting.append(SimulatedNode.Waiting(sequence: gate.sequence, epoch: epoch, show: show))
  }

  /// The effects of a turn wait for their gates, with everything that waits for its end.
  func takeEffects(_ node: SimulatedNode, _ engine: Engine, _ last: Sequence) {
    for place in node.waiting.indices where node.waiting[place].sequence == .max {
      let waiting = node.waiting[place]
      node.waiting[place] = SimulatedNode.Waiting(sequence: last, epoch: waiting.epoch, show: waiting.show)
    }
    for effect in engine.broker.effects {
      guard case .deliver(let delivery) = effect, reading?(delivery) != true,
        let topic = Self.topics.firstIndex(of: delivery.consumer.topic.name)
      else { continue }
      let record = delivery.record
      let read = ClusterLedger.Read(
        id: String(decoding: record.id, as: UTF8.self), dueMs: record.dueMs, releasedMs: record.stampMs)
      let offset = record.sequence
      let life = node.life
      let nowMs = engine.broker.nowMs
      let gate = effect.gate(last: last)
      wait(node, gate) { run in
        run.judgeDelivery(node, gate.sequence)
        run.ledger.delivered(read, topic: topic, offset: offset, serviceMs: nowMs)
        run.inHand.append((node.name, life, topic, offset))
      }
    }
  }
}
