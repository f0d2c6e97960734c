// How long it takes to validate and decode one request line.
//
// `bench json`: for each kind of line, the nanoseconds of a full parse with every field read, as the server does.

import LineProtocol
import Primitives

/// Measures the JSON reader and writer on one thread.
enum JSONBenchmark {
  private struct Case: Sendable {
    var name: String
    var line: String
    var read: @Sendable (RequestReader) throws(Refusal) -> Int
  }

  private static let cases: [Case] = [
    Case(
      name: "schedule, ASCII body",
      line: schedule(body: #"{"orderId":"A-20260301-000017","amount":12950,"currency":"EUR","retry":false}"#),
      read: readSchedule),
    Case(
      name: "schedule, escaped text body",
      line: schedule(body: #""line one\nline two \"quoted\" and \u00e9 more text""#),
      read: readSchedule),
    Case(
      name: "schedule, Chinese text body", line: schedule(body: "\"" + String(repeating: "订单超时取消", count: 5) + "\""),
      read: readSchedule),
    Case(
      name: "schedule, 4 KiB text body",
      line: schedule(body: "\"" + String(repeating: "0123456789abcdef", count: 256) + "\""),
      read: readSchedule),
    Case(name: "ack", line: #"{"op":"ack","sub":1,"offset":1234567,"acks":"none"}"#, read: readAck),
    Case(name: "ping", line: #"{"op":"ping","rid":17}"#, read: readPing),
  ]

  private static let scheduleFields: FieldSet = [
    .topic, .body, .delayMs, .deliverAtMs, .deliverAt, .delayLevel, .id, .key, .tag, .headers, .ifExists, .acks,
  ]

  private static let ackFields: FieldSet = [.sub, .topic, .group, .offset, .offsets, .upTo, .acks]

  static let command = Command(
    name: "json", summary: "validating and decoding request lines",
    options: [
      Option("lines", 1_000_000, "lines of a kind"), Option("rounds", 5, "rounds to take the best of"),
      Option("case", "", "only kinds with this in their name"),
    ], run: run)

  private static func run(_ flags: Flags) -> Report {
    let lines = max(1, flags.number("lines"))
    let reader = RequestReader()
    sayExpected(seconds: flags.number("rounds") * lines / 450_000)
    var report = Report(
      flags, title: "Reading request lines",
      meaning: "Time to validate a line and read all of its fields, on one thread; best of the rounds.")
    var bars: [Report.Comparison.Bar] = []
    for one in cases where flags.text("case").isEmpty || one.name.contains(flags.text("case")) {
      Progress.begin(one.name)
      let bytes = Array(one.line.utf8)
      let best = bytes.withUnsafeBytes { line in
        (0..<max(1, flags.number("rounds"))).map { _ in measure(one, line, reader, lines) }.min()!
      }
      let ns = Double(best) / Double(lines)
      bars.append(.init(name: one.name, value: ns, isOurs: true))
      report.add("\(one.name), \(bytes.count) bytes", Double(bytes.count) / ns, "GB/s")
    }
    bars.append(.init(name: "writing a reply to schedule", value: measureReply(lines), isOurs: true))
    report.comparisons = [.init(title: "A line", unit: "ns", isLowBetter: true, bars: bars)]
    return report
  }

  private static func measure(
    _ one: Case, _ line: UnsafeRawBufferPointer, _ reader: RequestReader, _ lines: Int
  ) -> Int64 {
    var sum = 0
    let clock = ContinuousClock()
    let elapsed = clock.measure {
      for _ in 0..<lines {
        do throws(Refusal) {
          try reader.parse(line)
          sum &+= try one.read(reader)
        } catch {
          preconditionFailure("a benchmark line is valid: \(error)")
        }
      }
    }
    precondition(sum != 0, "every case reads something")
    return nanoseconds(elapsed)
  }

  private static func measureReply(_ lines: Int) -> Double {
    var output = ByteBuffer(capacity: 4096)
    let id = Array("m-00000000000000001234".utf8)
    let elapsed = ContinuousClock().measure {
      for number in 0..<lines {
        output.beginReply(rid: nil)
        output.append(",\"id\":")
        id.withUnsafeBytes { output.appendJSONString($0) }
        output.append(",\"deliverAtMs\":")
        output.appendInteger(1_767_225_600_000 + Int64(number))
        output.append(",\"outcome\":\"scheduled\"")
        output.endLine()
        output.consume(output.count)
      }
    }
    return Double(nanoseconds(elapsed)) / Double(lines)
  }

  private static func schedule(body: String) -> String {
    #"{"op":"schedule","rid":12345,"topic":"orders.cancel","id":"order-20260301-000017","delayMs":1800000,"#
      + #""key":"customer-42","acks":"disk","body":"# + body + "}"
  }

  private static func readSchedule(_ request: RequestReader) throws(Refusal) -> Int {
    try request.requireOnly(scheduleFields, operation: "schedule")
    let text = try request.string(.op)!.count + request.string(.topic)!.count + request.string(.id)!.count
    let rest = try request.string(.key)!.count + request.string(.acks)!.count + request.rid()!.count
    return try text + rest + Int(request.integer(.delayMs)!) + request.raw(.body)!.count
  }

  private static func readAck(_ request: RequestReader) throws(Refusal) -> Int {
    try request.requireOnly(ackFields, operation: "ack")
    return try request.string(.op)!.count + Int(request.integer(.sub)! + request.integer(.offset)!)
  }

  private static func readPing(_ request: RequestReader) throws(Refusal) -> Int {
    try request.requireOnly(FieldSet(), operation: "ping")
    return try request.string(.op)!.count + request.rid()!.count
  }

  private static func nanoseconds(_ duration: Duration) -> Int64 {
    duration.components.seconds * 1_000_000_000 + duration.components.attoseconds / 1_000_000_000
  }
}
