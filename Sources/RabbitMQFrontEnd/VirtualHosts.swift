// All virtual hosts of a server: those that clients may open, and those that the data folder knows of besides.
//
// Holds: a queue or relay of the broker belongs to one host. A host that nobody may open any more keeps its queues, and what
// happens in them by itself goes on.
// Leaves to others: what happens in a host (RabbitMQ).

import Broker
import Primitives

/// The virtual hosts.
public final class VirtualHosts {
  private let broker: Broker
  private let makeTables: (VirtualHost) -> RabbitMQ
  /// The host `/`.
  public let standard: RabbitMQ
  // Those that may be opened, and after a start those that were found besides.
  private var hosts: [RabbitMQ]
  private var open: [String: RabbitMQ] = [:]
  /// Told of messages that were dropped because the exchange in which they were pending went, in words for people.
  public var noteDropped: ((String) -> Void)? { didSet { for host in hosts { host.noteDropped = noteDropped } } }

  /// - Parameters:
  ///   - others: the hosts that may be opened besides `/`.
  ///   - exchangesMax: no host has more exchanges.
  ///   - bindingsMax: no host has more bindings.
  public init(
    _ broker: Broker, others: [VirtualHost] = [], exchangesMax: Int = 100_000, bindingsMax: Int = 1_000_000
  ) {
    self.broker = broker
    makeTables = { RabbitMQ(broker, $0, exchangesMax: exchangesMax, bindingsMax: bindingsMax) }
    standard = makeTables(.standard)
    hosts = [standard] + others.map(makeTables)
    for host in hosts { open[host.virtualHost.name] = host }
    broker.deadLetterRouter = self
  }

  /// The host of this name, if clients may open it.
  public subscript(name: String) -> RabbitMQ? { open[name] }

  /// Makes the tables of all hosts from the catalog, at a start.
  ///
  /// - Parameter drain: does the disk work that was submitted.
  /// - Returns: the names of hosts that were found and may not be opened.
  public func restore(drain: () -> Void) -> [String] {
    let closed = findClosed()
    for host in hosts { host.restore(drain: drain) }
    return closed
  }

  private func findClosed() -> [String] {
    var found: Set<VirtualHost> = []
    for name in broker.catalog.entries.keys { if let host = VirtualHost(ofName: name) { found.insert(host) } }
    for group in broker.allQueues { if let host = VirtualHost(ofName: group.topic.nameBytes) { found.insert(host) } }
    let closed = found.filter { open[$0.name] == nil }.sorted { $0.name < $1.name }
    for host in closed {
      let tables = makeTables(host)
      tables.noteDropped = noteDropped
      hosts.append(tables)
    }
    broker.deadLetterRouter = self
    return closed.map(\.name)
  }

  /// Deletes the queues that nobody has used for as long as they say. Their messages are no dead letters. To be called when a
  /// turn has begun.
  public func deleteIdleQueues() {
    for group in broker.takeIdleQueues() { host(of: group)?.deleteIfIdle(group) }
  }

  private func host(of group: Group) -> RabbitMQ? {
    hosts.first { $0.owns(group) }
  }
}

extension VirtualHosts: DeadLetterRouter {
  /// The letters to where the queue's dead-letter exchange says.
  public func letters(of record: MessageRecord, endedIn group: Group, because reason: EndReason) -> [Letter] {
    host(of: group)?.letters(of: record, endedIn: group, because: reason) ?? []
  }
}
