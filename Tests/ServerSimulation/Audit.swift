// The end of a run: everything is released, every log is read from its first offset, every group and queue is emptied, and the
// ledger's facts are held against them.

import Primitives

extension ServerSimulation {
  /// Judges the run.
  func audit() {
    guard ledger.complaints.isEmpty else { return }
    heal()
    guard ledger.complaints.isEmpty else { return }
    // Late work is done, then everyone goes, so that all deliveries come back.
    rest()
    for client in clients where client.socket != nil { client.reset() }
    for client in amqpClients { client.reset() }
    rest(passMs: 10)
    // Behind everything that was scheduled, and behind every wait.
    for _ in 0..<30 where ledger.complaints.isEmpty { pass(ms: 400_000) }
    rest(passMs: 1000)
    guard ledger.complaints.isEmpty else { return }
    for topic in Client.topics + ["rocket"] { judgeLog(topic, auditor()) }
    for topic in Client.topics { for group in ["plain", "fetching"] { judgeGroup(topic, group, auditor()) } }
    for queue in ["work", "letters"] { judgeQueue(queue, auditor()) }
  }

  /// A client with a new connection, the only one that there is.
  private func auditor() -> Client {
    let client = clients[0]
    client.listens = nil
    client.reset()
    // The server hears of it when it accepts connections again.
    for _ in 0..<100 where client.socket != nil {
      rest(passMs: 100)
      client.noteEnd()
    }
    if client.socket == nil {
      client.connect()
    } else {
      ledger.complain("the server does not let a connection go that was reset")
    }
    client.introduce()
    rest()
    return client
  }

  private func judgeLog(_ topic: String, _ auditor: Client) {
    auditor.ask("subscribe", #""topic":"\#(topic)","from":"earliest""#, .subscribe(topic: topic, group: nil))
    var count = 0
    auditor.listens = { _ in count += 1 }
    settle { count }
    var versionOfKey: [MessageKey: Int] = [:]
    for (version, _) in ledger.offsetOfVersion[topic] ?? [:] {
      guard let key = ledger.keyOfVersion[version] else {
        ledger.complain("\(topic) has version \(version), which nobody sent")
        continue
      }
      if let other = versionOfKey.updateValue(version, forKey: key) {
        ledger.complain("\(key) was released as version \(other) and as version \(version)")
      }
    }
    for (key, history) in ledger.histories where key.topic == topic {
      if !history.endsWith(versionOfKey[key]) {
        ledger.complain("\(key) ends as version \(versionOfKey[key] ?? -1) in the log; it was \(history.shown)")
      }
    }
    let offsets = (ledger.offsets[topic] ?? [:]).keys.sorted()
    if offsets != Array(0..<TopicOffset(offsets.count)) { ledger.complain("\(topic) has a hole: \(offsets)") }
    judgeOrder(topic, versionOfKey)
  }

  /// Messages due in one millisecond are released in the order in which they were accepted, as far as anyone can know it.
  private func judgeOrder(_ topic: String, _ versionOfKey: [MessageKey: Int]) {
    let known = ledger.acceptances.filter { $0.key.topic == topic && versionOfKey[$0.key] != nil }
    for same in Dictionary(grouping: known, by: \.value.dueMs).values where same.count > 1 {
      for (key, one) in same {
        for (otherKey, other) in same {
          let isEarlier =
            one.answered < other.sent || one.connection == other.connection && one.sent < other.sent
          guard isEarlier, let version = versionOfKey[key], let otherVersion = versionOfKey[otherKey],
            let offset = ledger.offsetOfVersion[topic]?[version],
            let otherOffset = ledger.offsetOfVersion[topic]?[otherVersion], offset > otherOffset
          else { continue }
          ledger.complain("\(key) was accepted before \(otherKey), due with it at \(one.dueMs), and came after it")
        }
      }
    }
  }

  /// Goes on until no more is found.
  private func settle(passMs: Int64 = 0, _ found: () -> Int) {
    var quiet = 0
    while quiet < 4, ledger.complaints.isEmpty {
      let before = found()
      rest(passMs: passMs)
      // All of it before time passes again: the waits of the auditor's own deliveries must not run out.
      var last = -1
      while last != found(), ledger.complaints.isEmpty {
        last = found()
        for _ in 0..<3 { rest() }
      }
      quiet = found() == before ? quiet + 1 : 0
    }
  }

  /// Every message has reached the group, or reaches it now.
  private func judgeGroup(_ topic: String, _ group: String, _ auditor: Client) {
    let key = GroupKey(topic: topic, group: group)
    var given: Set<TopicOffset> = []
    auditor.listens = { line in
      for message in (line["messages"] as? [[String: Any]] ?? []) + [line] {
        if let offset = message["offset"] as? TopicOffset, message["attempt"] != nil { given.insert(offset) }
      }
    }
    let options = #""credit":65536,"ackWaitMs":80000000,"maxAttempts":100000"#
    auditor.ask(
      "subscribe", #""topic":"\#(topic)","group":"\#(group)",\#(options)"#, .subscribe(topic: topic, group: group))
    // Ten minutes: the longest wait after a refusal.
    settle(passMs: 650_000) { given.count }
    for offset in (ledger.offsets[topic] ?? [:]).keys.sorted() {
      if given.contains(offset) || ledger.ackAsked[key]?.contains(offset) == true { continue }
      ledger.complain("\(key) never gets offset \(offset)")
    }
  }

  /// Every confirmed message is in the queue, once, unless somebody has asked to end it.
  private func judgeQueue(_ queue: String, _ auditor: Client) {
    var found: [Int] = []
    auditor.listens = { line in
      if line["event"] as? String == "rabbitmq.deliver", let version = (line["body"] as? String).flatMap({ Int($0) }) {
        found.append(version)
      }
    }
    auditor.ask("rabbitmq.consume", #""queue":"\#(queue)","prefetch":0"#, .consume(queue: queue))
    settle { found.count }
    if Set(found).count != found.count { ledger.complain("\(queue) has a message twice: \(found.sorted())") }
    for (version, message) in ledger.queues[queue] ?? [:] {
      let isLetter = queue == "letters" && ledger.queues["short"]?[version]?.isConfirmed == true
      let isConfirmed = message.isConfirmed || isLetter
      if isConfirmed, !message.isAckAsked, !found.contains(version) {
        ledger.complain("\(queue) has lost version \(version)")
      }
    }
  }
}
