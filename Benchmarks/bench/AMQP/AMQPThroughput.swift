// Messages a second: published with confirms, consumed with acknowledgements, published without either.
//
// Holds: what a part published is there when it is over, and gone before the next round; a message missing or too many is a fault.

import Platform
import Primitives

enum AMQPThroughput {
  private static let parts = [
    "persistent, confirmed after fsync", "consumed and acknowledged", "transient, without confirms",
  ]

  /// What a part has shown in one round.
  private struct Finding {
    var perSecond = 0.0
    var brokerNs = 0.0
    var clientNs = 0.0
  }

  static func measure(_ brokers: [any AMQPBroker], _ flags: Flags, _ report: inout Report) {
    let rounds = max(1, flags.number("rounds"))
    var found = parts.map { _ in brokers.map { _ in [Finding]() } }
    for broker in brokers { AMQPWire(port: broker.port).declareQueue("bench") }
    for round in 1...rounds {
      for (place, broker) in brokers.enumerated() {
        say("  round \(round) of \(rounds): \(broker.name)")
        for (part, finding) in self.round(broker, flags, &report).enumerated() { found[part][place].append(finding) }
      }
    }
    for (part, name) in parts.enumerated() { fill(&report, name, brokers, found[part]) }
  }

  private static func round(_ broker: any AMQPBroker, _ flags: Flags, _ report: inout Report) -> [Finding] {
    let count = max(1, flags.number(broker.isOurs ? "messages" : "peer-messages"))
    let wire = AMQPWire(port: broker.port)
    let confirmed = part(broker, count, "publishing") {
      publishConfirmed(count, window: flags.number("window"), broker)
    }
    check(wire, holds: count, broker, &report)
    let consumed = part(broker, count, "consuming") { consume(count, prefetch: flags.number("prefetch"), broker) }
    check(wire, holds: 0, broker, &report)
    let transient = part(broker, count, "publishing without confirms") { publishTransient(count, broker) }
    check(wire, holds: count, broker, &report)
    wire.purge("bench")
    return [confirmed, consumed, transient]
  }

  private static func part(_ broker: any AMQPBroker, _ count: Int, _ name: String, _ work: () -> Void) -> Finding {
    Progress.begin("\(broker.name): \(name)", of: count)
    let (brokerBefore, clientBefore) = (broker.cpuNs, ProcessorTime.ofProcessNs())
    let startNs = SystemClock.bootNs()
    work()
    var finding = Finding(perSecond: Figures.rate(count, ns: SystemClock.bootNs() - startNs))
    finding.brokerNs = Double(broker.cpuNs - brokerBefore) / Double(count)
    finding.clientNs = Double(ProcessorTime.ofProcessNs() - clientBefore) / Double(count)
    Progress.end()
    return finding
  }

  private static func check(_ wire: AMQPWire, holds count: Int, _ broker: any AMQPBroker, _ report: inout Report) {
    let ready = wire.readyCount("bench")
    if ready == count { return }
    let fault = "\(broker.name): \(ready) messages are ready, not \(count)"
    // What others do wrong is their figure; what ours does wrong is a fault of the run.
    if broker.isOurs { report.faults.append(fault) } else { report.notes.append(fault) }
  }

  // MARK: The parts

  private static func publishConfirmed(_ count: Int, window: Int, _ broker: any AMQPBroker) {
    let wire = AMQPWire(port: broker.port)
    wire.selectConfirms()
    let message = AMQPMessage(key: "bench").whole
    var confirmed = AMQPConfirmed()
    _ = Load.answered(
      wire.connection, count, window: max(1, window), write: { _, out in out.append(message) }, endPiece: { _ in },
      takeReplies: { confirmed.take(from: wire) })
  }

  private static func consume(_ count: Int, prefetch: Int, _ broker: any AMQPBroker) {
    let wire = AMQPWire(port: broker.port)
    wire.consume("bench", isAcknowledged: true, prefetch: UInt16(clamping: prefetch))
    var taken = 0
    while taken < count {
      guard wire.connection.hasUnread || wire.connection.receive() else {
        fail("\(broker.name): messages stopped coming")
      }
      let news = wire.takeDeliveries { _ in }
      wire.acknowledge()
      taken += news
      Progress.advance(news)
    }
    // Its answer says that the acknowledgements before it are done.
    wire.cancel()
  }

  private static func publishTransient(_ count: Int, _ broker: any AMQPBroker) {
    let wire = AMQPWire(port: broker.port)
    let message = AMQPMessage(key: "bench", isPersistent: false).whole
    let piece = 1024
    let many = [[UInt8]](repeating: message, count: piece).flatMap { $0 }
    many.withUnsafeBytes { many in
      var sent = 0
      while sent < count {
        let next = min(piece, count - sent)
        wire.connection.send(UnsafeRawBufferPointer(rebasing: many[..<(next * message.count)]))
        sent += next
        Progress.advance(next)
      }
    }
    // Its answer says that all before it has come.
    _ = wire.readyCount("bench")
  }

  // MARK: The report

  private static func fill(
    _ report: inout Report, _ name: String, _ brokers: [any AMQPBroker], _ found: [[Finding]]
  ) {
    func compare(_ title: String, _ unit: String, isLowBetter: Bool, _ value: (Finding) -> Double) {
      let bars = brokers.enumerated().map { place, broker in
        Report.Comparison.Bar(
          name: broker.name, value: Figures.median(found[place].map(value)), isOurs: broker.isOurs)
      }
      report.comparisons.append(.init(title: title, unit: unit, isLowBetter: isLowBetter, bars: bars))
      if let ours = bars.first(where: \.isOurs) {
        report.headlines.append(.init(name: title, value: ours.value, unit: unit))
      }
    }
    compare("Messages a second: \(name)", "/s", isLowBetter: false) { $0.perSecond }
    compare("Processor time of the broker a message: \(name)", "ns", isLowBetter: true) { $0.brokerNs }
    for (place, broker) in brokers.enumerated() {
      report.add(
        "\(broker.name), \(name): processor time of the client a message",
        Figures.median(found[place].map(\.clientNs)), "ns")
    }
  }
}
