// Tag expressions, delays, the retry rule and names, each as a table.

import Broker
import LineProtocol
import Primitives
import Testing

@testable import RocketMQFrontEnd

private func bytes<R>(_ text: String, _ body: (UnsafeRawBufferPointer) -> R) -> R {
  var text = text
  return text.withUTF8 { body(UnsafeRawBufferPointer($0)) }
}

/// The tags of an expression as one text, `*` for all, nil when it is refused.
private func tags(_ expression: String) -> String? {
  bytes(expression) { expression in
    do {
      guard let tags = try TagExpression.parse(expression) else { return "*" }
      return tags.map { String(decoding: $0, as: UTF8.self) }.joined(separator: ",")
    } catch {
      return nil
    }
  }
}

@Suite("Rules")
struct RuleTests {
  @Test(
    "an expression is * or tags joined by ||, blanks ignored",
    arguments: [
      ("*", "*"), ("", "*"), ("  ", "*"), (" * ", "*"), ("A", "A"), ("A||B", "A,B"), ("A || B", "A,B"),
      ("\tA\t||  B C ||", "A,B C"), ("||A", "A"), ("A||A||B", "A,B"), ("A|| ||B", "A,B"), ("é || Ω", "é,Ω"),
    ])
  func expressions(text: String, expected: String) {
    #expect(tags(text) == expected)
  }

  @Test(
    "an expression that could match nothing by mistake is refused",
    arguments: [
      "||", " || ||", "|", "A|B", "A | B", "A|||B", "|||", "*||A", "A || *", String(repeating: "x", count: 129),
    ]
  )
  func badExpressions(text: String) {
    #expect(tags(text) == nil)
  }

  @Test("an expression has at most 64 tags")
  func manyTags() {
    let names = (0..<64).map { "t\($0)" }
    #expect(tags(names.joined(separator: "||")) == names.joined(separator: ","))
    #expect(tags((names + ["one more"]).joined(separator: "||")) == nil)
  }

  @Test("level before seconds before milliseconds before the time; 0 and past are no delay")
  func precedence() {
    func due(_ level: Int64?, _ seconds: Int64?, _ milliseconds: Int64?, _ deliverMs: Int64?) -> DueTime? {
      var fields = DelayFields()
      (fields.level, fields.seconds, fields.milliseconds, fields.deliverMs) = (level, seconds, milliseconds, deliverMs)
      return fields.due(levels: 18, nowMs: 1000)
    }
    let table: [(DueTime?, DueTime?)] = [
      (due(nil, nil, nil, nil), nil), (due(3, 4, 5, 6000), .level(3)), (due(18, nil, nil, nil), .level(18)),
      (due(19, nil, nil, nil), .level(18)), (due(.max, nil, nil, nil), .level(18)), (due(0, nil, nil, nil), nil),
      (due(.min, nil, nil, nil), nil), (due(0, 4, 5, 6000), .delay(4000)), (due(-1, nil, 5, 6000), .delay(5)),
      (due(nil, nil, nil, 6000), .at(6000)), (due(nil, nil, nil, 1000), nil), (due(nil, nil, nil, 1001), .at(1001)),
      (due(nil, 0, 5, 6000), nil), (due(nil, .max, nil, nil), .delay(.max)),
      (due(nil, .max / 1000 + 1, nil, nil), .delay(.max)),
    ]
    for (place, row) in table.enumerated() { #expect("\(row.0 as Any)" == "\(row.1 as Any)", "row \(place)") }
  }

  @Test("the retry rule, for every number of retries and every level")
  func retries() {
    for times in Int64(0)...20 {
      for level in Int64(-2)...20 {
        let rule = RetryRule.decide(level: level, reconsumeTimes: times, reconsumeTimesMax: 16, levels: 18)
        if level < 0 || times >= 16 {
          #expect(rule == .deadLetter)
        } else {
          #expect(rule == .level(Int(min(18, level == 0 ? 3 + times : level))))
        }
      }
    }
    #expect(RetryRule.decide(level: .max, reconsumeTimes: 0, reconsumeTimesMax: 1, levels: 2) == .level(2))
    #expect(RetryRule.decide(level: 0, reconsumeTimes: 0, reconsumeTimesMax: 0, levels: 18) == .deadLetter)
  }

  @Test(
    "topics are plain names, or a group's behind one of the two prefixes",
    arguments: [
      ("orders", true), ("%RETRY%g", true), ("%DLQ%g.h-1_2", true), ("%RETRY%", false), ("%DLQ%..", false),
      ("%retry%g", false), ("%RETRY%%DLQ%g", false), ("a%b", false), ("%", false), ("", false), ("..", false),
      ("%RETRY%" + String(repeating: "g", count: 128), true), ("%RETRY%" + String(repeating: "g", count: 129), false),
    ])
  func names(name: String, isTopic: Bool) {
    #expect(bytes(name, TopicNames.isTopic) == isTopic)
  }

  @Test(
    "the level table is read as RocketMQ reads it",
    arguments: [
      ("1s", [1000]), ("1s 2m 3h 4d", [1000, 120_000, 10_800_000, 345_600_000]), ("0s", [0]), ("1s ", [1000]),
      ("", nil), (" ", nil), (" 1s", nil), ("1s  2s", nil), ("1", nil), ("s", nil), ("1S", nil), ("1.5s", nil),
      ("-1s", nil), ("9223372036854775807d", nil), ("1s,2s", nil),
    ] as [(String, [Int64]?)])
  func table(text: String, levels: [Int64]?) {
    #expect(DelayLevels.parse(text) == levels)
  }

  @Test("headers of a retry keep what was there, count on, and name the origin once")
  func retryHeaders() {
    func retried(_ id: String, _ headers: String) -> String {
      bytes(id) { id in
        bytes(headers) { headers in
          var parts = MessageParts(id: id, body: id)
          parts.headers = headers
          let memory = UnsafeMutableRawPointer.allocate(byteCount: parts.recordLength, alignment: 8)
          defer { memory.deallocate() }
          MessageRecord.write(parts, sequence: 0, dueMs: 0, stampMs: 0, topic: 1, at: memory)
          let record = MessageRecord(memory)
          return String(decoding: MessageHeaders(record).forRetry(of: record, topic: "t"), as: UTF8.self)
        }
      }
    }
    #expect(
      retried("a\"\\é", "") == #"{"RECONSUME_TIMES":"1","RETRY_TOPIC":"t","ORIGIN_MESSAGE_ID":"a\"\\é"}"#)
    #expect(
      retried("b", #"{"KEYS":"k","RETRY_TOPIC":"o","p":"\"","ORIGIN_MESSAGE_ID":"a","RECONSUME_TIMES":"1"}"#)
        == #"{"KEYS":"k","RETRY_TOPIC":"o","p":"\"","ORIGIN_MESSAGE_ID":"a","RECONSUME_TIMES":"2"}"#)
    #expect(retried("b", #"{"RECONSUME_TIMES":"x"}"#).hasPrefix(#"{"RECONSUME_TIMES":"1""#))
  }
}
