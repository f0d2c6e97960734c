// Who consumes in which group, as heartbeats say, and who is to be told when that changes: the members divide the queues of their
// topics among themselves, and do so anew whenever somebody comes or goes.
//
// Holds: a member is one client; when it comes by another connection, that is where it is. Nothing of this outlives the process:
// clients say it again.
// Leaves to others: telling them (the server's sessions).

import RemotingProtocol

/// The members of all groups.
public final class ConsumerGroups {
  /// A client that consumes in a group.
  public struct Member: Sendable {
    /// The client's id.
    public let clientID: String
    /// Its connection.
    public fileprivate(set) var connection: UInt64
    /// What it said of itself.
    public fileprivate(set) var consumer: Heartbeat.Consumer
  }

  /// Groups that one connection may have members of.
  static let groupsMax = 1024

  private var groups: [String: [Member]] = [:]
  /// The groups in which a connection has members.
  private var byConnection: [UInt64: Set<String>] = [:]
  private var changes: [(connection: UInt64, group: String)] = []

  /// Nobody.
  init() {}

  /// The members of a group, in the order in which they came.
  public func members(of group: String) -> [Member] { groups[group] ?? [] }

  /// What a group's members want of a topic: the newest subscription.
  func subscription(of group: String, to topic: String) -> Heartbeat.Subscription? {
    members(of: group).flatMap(\.consumer.subscriptions).filter { $0.topic == topic }
      .max { $0.version < $1.version }
  }

  /// A client has said that it is there.
  ///
  /// - Throws: `systemBusy` when the connection is in too many groups.
  func note(_ heartbeat: Heartbeat, connection: UInt64) throws(WireStop) {
    for consumer in heartbeat.consumers {
      guard byConnection[connection, default: []].count < Self.groupsMax || isMember(connection, consumer.group) else {
        throw .refused(.systemBusy, "a connection can be in \(Self.groupsMax) consumer groups")
      }
      join(Member(clientID: heartbeat.clientID, connection: connection, consumer: consumer))
    }
  }

  private func isMember(_ connection: UInt64, _ group: String) -> Bool {
    byConnection[connection]?.contains(group) == true
  }

  private func join(_ member: Member) {
    let group = member.consumer.group
    var members = groups[group] ?? []
    if let place = members.firstIndex(where: { $0.clientID == member.clientID }) {
      let before = members[place]
      members[place] = member
      groups[group] = members
      if before.connection != member.connection { forget(before.connection, group) }
      byConnection[member.connection, default: []].insert(group)
      if before.connection == member.connection, before.consumer == member.consumer { return }
    } else {
      members.append(member)
      groups[group] = members
      byConnection[member.connection, default: []].insert(group)
    }
    noteChange(of: group)
  }

  /// A client leaves a group.
  func leave(_ group: String, clientID: String) {
    remove(from: group) { $0.clientID == clientID }
  }

  /// A connection is gone, and its clients with it.
  func end(_ connection: UInt64) {
    for group in (byConnection[connection] ?? []).sorted() { remove(from: group) { $0.connection == connection } }
    changes.removeAll { $0.connection == connection }
  }

  private func remove(from group: String, where leaves: (Member) -> Bool) {
    guard let members = groups[group] else { return }
    let left = members.filter { !leaves($0) }
    guard left.count < members.count else { return }
    groups[group] = left.isEmpty ? nil : left
    for member in members where leaves(member) { forget(member.connection, group) }
    noteChange(of: group)
  }

  /// A connection may have lost its last member of a group.
  private func forget(_ connection: UInt64, _ group: String) {
    guard !members(of: group).contains(where: { $0.connection == connection }) else { return }
    byConnection[connection]?.remove(group)
    if byConnection[connection]?.isEmpty == true { byConnection[connection] = nil }
  }

  private func noteChange(of group: String) {
    for member in members(of: group)
    where !changes.contains(where: { $0.connection == member.connection && $0.group == group }) {
      changes.append((member.connection, group))
    }
  }

  /// Whether somebody is to be told.
  public var hasChanges: Bool { !changes.isEmpty }

  /// Who is to be told of which group, each once; they are forgotten.
  public func takeChanges() -> [(connection: UInt64, group: String)] {
    defer { changes = [] }
    return changes
  }
}
