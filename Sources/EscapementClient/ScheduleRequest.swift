// What a message to be scheduled consists of.

import Foundation

/// When a message is due.
public enum Due: Sendable, Equatable {
  /// This many ms after the server accepts it; 0 or more.
  case after(ms: Int64)
  /// At this Unix time in ms; a past time releases at once.
  case atMs(Int64)
  /// By the server's table of levels, from 1.
  case level(Int)

  /// At this time, rounded up to a millisecond.
  public static func at(_ date: Date) -> Due {
    // A Date holds some 0.1 µs; whole microseconds first, so that 1.001 s does not become 1.002 s.
    let us = (date.timeIntervalSince1970 * 1_000_000).rounded()
    return .atMs(Int64(exactly: (us / 1_000).rounded(.up)) ?? (us < 0 ? .min : .max))
  }

  /// After this long, rounded up to a millisecond.
  public static func after(_ duration: Duration) -> Due {
    let (seconds, attoseconds) = duration.components
    let (ms, overflow) = seconds.multipliedReportingOverflow(by: 1_000)
    let rest = (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
    return .after(ms: overflow ? .max : ms.addingReportingOverflow(rest).partialValue)
  }

  /// Saying it twice means the same moment.
  var isAbsolute: Bool { if case .atMs = self { true } else { false } }

  func write(to line: inout RequestLine) {
    switch self {
    case .after(let ms): line.set("delayMs", ms)
    case .atMs(let ms): line.set("deliverAtMs", ms)
    case .level(let level): line.set("delayLevel", level)
    }
  }
}

/// What to do when the id is pending already.
public enum IfExists: String, Sendable, CaseIterable {
  /// Leave the pending message as it is.
  case keep
  /// Put the new message in its place.
  case replace
  /// Refuse with `exists`.
  case reject
}

/// What a reply vouches for.
public enum Acks: String, Sendable, CaseIterable {
  /// The message is on stable storage.
  case disk
  /// The server has accepted it; a crash may lose it.
  case memory
}

/// A message to be scheduled.
public struct ScheduleRequest: Sendable, Equatable {
  /// The topic it is released into.
  public var topic: String
  /// Its body.
  public var body: MessageBody
  /// When it is due.
  public var when: Due
  /// Its id, unique in the topic; nil: the server makes one. Only with an id is a lost reply no lost message: the
  /// client then asks again by itself.
  public var id: String?
  /// The ordering key, up to 256 bytes.
  public var key: String?
  /// The tag, up to 128 bytes.
  public var tag: String?
  /// Headers.
  public var headers: [String: String]
  /// What to do when the id is pending; nil: the server's default, keep.
  public var ifExists: IfExists?

  /// Makes a request.
  public init(
    topic: String, body: MessageBody, when: Due, id: String? = nil, key: String? = nil, tag: String? = nil,
    headers: [String: String] = [:], ifExists: IfExists? = nil
  ) {
    self.topic = topic
    self.body = body
    self.when = when
    self.id = id
    self.key = key
    self.tag = tag
    self.headers = headers
    self.ifExists = ifExists
  }

  /// A second `reject` would be refused because of the first.
  var isRepeatable: Bool { id != nil && ifExists != .reject }

  func line(acks: String?) -> RequestLine {
    var line = RequestLine("schedule")
    line.set(topic: topic)
    line.set("acks", acks)
    write(to: &line)
    return line
  }

  /// Everything but the topic.
  func write(to line: inout RequestLine) {
    line.set("id", id)
    when.write(to: &line)
    line.set("key", key)
    line.set("tag", tag)
    line.set("headers", headers)
    line.set("ifExists", ifExists?.rawValue)
    line.raw(body.field, body.value)
  }
}
