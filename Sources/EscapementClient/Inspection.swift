// The server's view of itself, as types: topics and groups, counters, the wheels.

import Foundation

/// A group of a topic: how far it has come.
public struct GroupInfo: Sendable, Codable, Equatable {
  /// Its name.
  public let group: String
  /// Every message before this offset is finished.
  public let committed: UInt64
  /// Released messages that it has not finished.
  public let lag: Int64
  /// Delivered and not yet acknowledged.
  public let inFlight: Int64
  /// Subscriptions.
  public let members: Int64

  init(_ fields: RawObject) throws(EscapementError) {
    group = try fields.string("group")
    committed = try fields.offset("committed")
    lag = try fields.int("lag")
    inFlight = try fields.int("inFlight")
    members = try fields.int("members")
  }
}

/// A topic.
public struct TopicInfo: Sendable, Codable, Equatable {
  /// Its name.
  public let topic: String
  /// Messages that wait for their time.
  public let pending: Int64
  /// The oldest released message kept.
  public let firstOffset: UInt64
  /// The offset of the next released message.
  public let nextOffset: UInt64
  /// Bytes of released messages.
  public let bytes: Int64
  /// Its groups.
  public let groups: [GroupInfo]

  init(_ fields: RawObject) throws(EscapementError) {
    topic = try fields.string("topic")
    pending = try fields.int("pending")
    firstOffset = try fields.offset("firstOffset")
    nextOffset = try fields.offset("nextOffset")
    bytes = try fields.int("bytes")
    groups = try fields.all("groups") { group throws(EscapementError) in try GroupInfo(group) }
  }
}

/// Counters and gauges.
public struct ServerStats: Sendable, Equatable {
  /// One number with its name; names of nested objects are joined by dots.
  public struct Entry: Sendable, Equatable {
    /// The name.
    public let name: String
    /// The number.
    public let value: Double
    /// The number as the server wrote it.
    public let text: String
  }

  /// In the server's order.
  public let entries: [Entry]
  /// The server's whole answer, as a JSON object.
  public let json: Data

  /// The number with this name.
  public subscript(_ name: String) -> Double? { entries.first { $0.name == name }?.value }

  init(_ reply: RawJSON) {
    let members = reply.members.filter { $0.key != "ok" && $0.key != "rid" }
      .map { JSONText.quoted($0.key) + [UInt8(ascii: ":")] + $0.value.data }
    json = Data([UInt8(ascii: "{")] + members.joined(separator: [UInt8(ascii: ",")]) + [UInt8(ascii: "}")])
    entries = Self.flatten(reply, prefix: "", depth: 0).filter { $0.name != "rid" }
  }

  private static func flatten(_ value: RawJSON, prefix: String, depth: Int) -> [Entry] {
    value.members.flatMap { key, value -> [Entry] in
      let name = prefix.isEmpty ? key : "\(prefix).\(key)"
      if let number = value.double {
        return [Entry(name: name, value: number, text: String(decoding: value.data, as: UTF8.self))]
      }
      return value.isObject && depth < 8 ? flatten(value, prefix: name, depth: depth + 1) : []
    }
  }
}

/// The timing wheels as they stand.
public struct WheelInfo: Sendable, Codable, Equatable {
  /// One wheel.
  public struct Level: Sendable, Codable, Equatable {
    /// 0 (or 1) is the finest, as the server counts.
    public let level: Int64
    /// The width of a slot, in ms.
    public let tickMs: Int64
    /// What one turn covers, in ms.
    public let intervalMs: Int64
    /// Messages in it.
    public let pending: Int64
    /// Occupied slots as pairs: slot, messages.
    public let slots: [[Int64]]

    init(_ fields: RawObject) throws(EscapementError) {
      level = try fields.int("level")
      tickMs = try fields.int("tickMs")
      intervalMs = try fields.int("intervalMs")
      pending = try fields.int("pending")
      slots = (fields["slots"]?.elements ?? []).map { $0.elements.compactMap(\.int) }
    }
  }

  /// The server's time, in Unix ms.
  public let nowMs: Int64
  /// The finest slot, in ms.
  public let tickMs: Int64
  /// Slots a wheel.
  public let wheelSize: Int64
  /// From the finest up.
  public let levels: [Level]
  /// Messages whose time is so far off that they lie on disk only.
  public let onDisk: Int64

  init(_ reply: RawObject) throws(EscapementError) {
    nowMs = try reply.int("nowMs")
    tickMs = try reply.int("tickMs")
    wheelSize = try reply.int("wheelSize")
    onDisk = try reply.int("onDisk")
    levels = try reply.all("levels") { fields throws(EscapementError) in try Level(fields) }
  }
}
