// When a message comes, by RocketMQ's rules: what a send means by its delay fields, and how long a retry waits.
//
// Holds: a positive level before seconds before milliseconds before the time of delivery; a level above the highest is the
// highest; 0 and a past time are no delay.

import Broker
import LineProtocol
import Primitives

/// The delay fields of a send, as they are on the wire.
public struct DelayFields: Equatable, Sendable {
  /// `delayTimeLevel`: 1…n, or not delayed.
  public var level: Int64?
  /// `delayTimeSec`.
  public var seconds: Int64?
  /// `delayTimeMs`.
  public var milliseconds: Int64?
  /// `deliverTimeMs`: Unix ms.
  public var deliverMs: Int64?

  /// None of them.
  public init() {}

  /// Reads them from a request.
  ///
  /// - Throws: `bad_request` for a negative time.
  init(_ reader: RequestReader) throws(Refusal) {
    level = try reader.integer(.delayTimeLevel)
    seconds = try Self.time(reader, .delayTimeSec)
    milliseconds = try Self.time(reader, .delayTimeMs)
    deliverMs = try Self.time(reader, .deliverTimeMs)
  }

  private static func time(_ reader: RequestReader, _ field: FieldName) throws(Refusal) -> Int64? {
    guard let value = try reader.integer(field) else { return nil }
    guard value >= 0 else { throw .invalid(field, mustBe: "0 or more") }
    return value
  }

  /// What they mean at `nowMs`; nil: not delayed. Seconds beyond 64 bits of milliseconds are the farthest there is, which
  /// the broker refuses.
  public func due(levels: Int, nowMs: UnixMs) -> DueTime? {
    if let level, level > 0 { return .level(min(level, Int64(levels))) }
    if let seconds {
      let (delayMs, overflow) = seconds.multipliedReportingOverflow(by: 1000)
      return delayMs == 0 ? nil : .delay(overflow ? .max : delayMs)
    }
    if let milliseconds { return milliseconds == 0 ? nil : .delay(milliseconds) }
    if let deliverMs { return deliverMs <= nowMs ? nil : .at(deliverMs) }
    return nil
  }
}

/// What becomes of a message that a consumer sends back.
public enum RetryRule: Equatable, Sendable {
  /// Again, after the delay of this level, 1…n.
  case level(Int)
  /// Never again.
  case deadLetter

  /// The first level that retries use, which waits ten seconds in RocketMQ's table.
  public static let firstLevel: Int64 = 3
  /// How often a message is retried when the consumer does not say.
  public static let reconsumeTimesMaxDefault: Int64 = 16

  /// Decides by RocketMQ's rule.
  ///
  /// - Parameters:
  ///   - level: what the consumer asks for: 0 for the rule, above 0 for that level, below 0 for the dead letters.
  ///   - reconsumeTimes: how often the message was retried before.
  ///   - levels: how many levels the table has.
  /// - Source: RocketMQ's `AbstractSendMessageProcessor.consumerSendMsgBack`.
  public static func decide(level: Int64, reconsumeTimes: Int64, reconsumeTimesMax: Int64, levels: Int) -> RetryRule {
    if level < 0 || reconsumeTimes >= reconsumeTimesMax { return .deadLetter }
    let wanted = level > 0 ? level : firstLevel.addingReportingOverflow(reconsumeTimes).partialValue
    return .level(Int(min(wanted, Int64(levels))))
  }
}
