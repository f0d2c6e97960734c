// What the server's answers say, as types.

import Foundation

/// The server's introduction.
public struct ServerInfo: Sendable, Codable, Equatable {
  /// Name and version.
  public let server: String
  /// Protocol version.
  public let protocolVersion: Int64
  /// The width of the finest wheel's slots, in ms.
  public let tickMs: Int64
  /// Slots a wheel.
  public let wheelSize: Int64
  /// The longest request line, in bytes, without its newline.
  public let maxLineBytes: Int64
  /// The longest delay, in ms.
  public let maxDelayMs: Int64
  /// The server's time when it answered, in Unix ms.
  public let nowMs: Int64

  init(_ reply: RawObject) throws(EscapementError) {
    server = try reply.string("server")
    protocolVersion = try reply.int("protocol")
    tickMs = try reply.int("tickMs")
    wheelSize = try reply.int("wheelSize")
    maxLineBytes = try reply.int("maxLineBytes")
    maxDelayMs = try reply.int("maxDelayMs")
    nowMs = try reply.int("nowMs")
  }
}

/// What became of a `schedule`.
public enum ScheduleOutcome: String, Sendable, Codable {
  /// It is pending now.
  case scheduled
  /// The id was pending already; nothing changed.
  case kept
  /// The id was pending; the new message took its place.
  case replaced
  /// The id was released a short while ago; nothing was scheduled.
  case released
}

/// The answer to `schedule`.
public struct ScheduleReceipt: Sendable, Codable, Equatable {
  /// The message's id: the one asked for, or the one the server made.
  public let id: String
  /// When it is (or was) due, in Unix ms.
  public let deliverAtMs: Int64
  /// What happened.
  public let outcome: ScheduleOutcome

  init(_ reply: RawObject) throws(EscapementError) {
    id = try reply.string("id")
    deliverAtMs = try reply.int("deliverAtMs")
    outcome = try reply.choice("outcome")
  }
}

/// The answer to `publish`.
public struct PublishReceipt: Sendable, Codable, Equatable {
  /// The message's id.
  public let id: String
  /// Its offset in the topic.
  public let offset: UInt64

  init(_ reply: RawObject) throws(EscapementError) {
    id = try reply.string("id")
    offset = try reply.offset("offset")
  }
}

/// The answer to `redrive`.
public struct RedriveReceipt: Sendable, Codable, Equatable {
  /// Dead letters that were put back.
  public let redriven: Int64
  /// Dead letters that are left.
  public let remaining: Int64

  init(_ reply: RawObject) throws(EscapementError) {
    redriven = try reply.int("redriven")
    remaining = try reply.int("remaining")
  }
}

/// What became of a `cancel`.
public enum CancelOutcome: String, Sendable, Codable {
  /// It will never be released.
  case cancelled
  /// Too late: it was released.
  case released
  /// No such message.
  case unknown
}

/// What became of a `reschedule`.
public enum RescheduleOutcome: Sendable, Equatable {
  /// It is due at this time (Unix ms) now.
  case rescheduled(deliverAtMs: Int64)
  /// Too late: it was released.
  case released
  /// No such message.
  case unknown
}

/// A pending message, without its body.
public struct PendingMessage: Sendable, Codable, Equatable {
  /// Its id.
  public let id: String
  /// When it is due, in Unix ms.
  public let deliverAtMs: Int64
  /// When it was accepted, in Unix ms.
  public let scheduledAtMs: Int64
  /// Its ordering key.
  public let key: String?
  /// Its tag.
  public let tag: String?

  init(_ fields: RawObject, id: String? = nil) throws(EscapementError) {
    if let id { self.id = id } else { self.id = try fields.string("id") }
    deliverAtMs = try fields.int("deliverAtMs")
    scheduledAtMs = try fields.int("scheduledAtMs")
    key = fields["key"]?.string
    tag = fields["tag"]?.string
  }
}

/// What the server knows about an id.
public enum MessageState: Sendable, Equatable {
  /// It waits for its time. The body is JSON text, or the bytes of a message that was given bytes.
  case pending(PendingMessage, headers: [String: String], body: Data)
  /// It was released.
  case released
  /// It was cancelled.
  case cancelled
  /// Nothing (any more).
  case unknown

  init(_ reply: RawObject, id: String) throws(EscapementError) {
    switch try reply.string("state") {
    case "pending":
      self = .pending(
        try PendingMessage(reply, id: id), headers: reply.stringMap("headers"), body: try reply.body())
    case "released": self = .released
    case "cancelled": self = .cancelled
    case "unknown": self = .unknown
    case let other: throw .badReply("'\(other)' is no known state")
    }
  }
}

/// Where a page of pending messages begins; only the server knows what is in it.
public struct PageCursor: Sendable, Equatable {
  let json: [UInt8]
}

/// Part of a topic's pending messages.
public struct PendingPage: Sendable, Equatable {
  /// In the order they are due.
  public let messages: [PendingMessage]
  /// Where the next page begins; nil when this was the last.
  public let cursor: PageCursor?

  init(_ reply: RawObject) throws(EscapementError) {
    var messages: [PendingMessage] = []
    for fields in try reply.objects("messages") { messages.append(try PendingMessage(fields)) }
    self.messages = messages
    cursor = reply["cursor"].map { PageCursor(json: [UInt8]($0.data)) }
  }
}

/// The answer to `snapshot`.
public struct SnapshotReceipt: Sendable, Codable, Equatable {
  /// The snapshot holds what the server had done up to this record of its journal.
  public let sequence: UInt64
  /// Files that it shares with the data folder.
  public let linkedFiles: Int64
  /// Files that were copied.
  public let copiedFiles: Int64
  /// Bytes that were copied.
  public let copiedBytes: Int64

  init(_ reply: RawObject) throws(EscapementError) {
    sequence = try reply.offset("sequence")
    linkedFiles = try reply.int("linkedFiles")
    copiedFiles = try reply.int("copiedFiles")
    copiedBytes = try reply.int("copiedBytes")
  }
}
