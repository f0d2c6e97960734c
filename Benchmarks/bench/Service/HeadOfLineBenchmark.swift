// `bench headofline`: messages of the RabbitMQ front end with ever shorter times to live, published longest first into one
// queue, each measured when its dead letter arrives.
//
// Lateness is the wall time at which the read that brought the dead letter returned, minus the time at which the message's
// batch began to be sent, minus its time to live: so it counts the way to the server and back too, and is never too good.
// Holds: exit code 1 when a message came early, twice or not at all.

import Glibc
import LineProtocol
import Platform

enum HeadOfLineBenchmark {
  private static let help = """
    bench headofline [flags]

      --messages N     messages (10000)
      --longest-ms N   time to live of the first (10000)
      --shortest-ms N  time to live of the last (10)
      --batch N        messages sent before their confirms are read (50)
    \(Flags.serverHelp)
    """

  static func run(arguments: [String]) {
    let flags = Flags(
      arguments,
      defaults: Flags.serverDefaults([
        "messages": "10000", "longest-ms": "10000", "shortest-ms": "10", "batch": "50",
      ]), help: help)
    sayExpected(seconds: flags.number("longest-ms") / 1000 + flags.number("messages") / 20_000 + 1)
    let server = ServerProcess(flags)
    defer { server.stop() }
    let count = max(2, flags.number("messages"))
    let longest = flags.number("longest-ms")
    let step = Double(longest - flags.number("shortest-ms")) / Double(count - 1)
    let ttlsMs = (0..<count).map { longest - Int(Double($0) * step) }
    let consumer = declare(server)
    let letters = Letters(count)
    let thread = try? Thread(name: "letters") { letters.receive(consumer) }
    let sentNs = publish(server, ttlsMs, batch: max(1, flags.number("batch")))
    thread?.join()
    report(server, ttlsMs, sentNs, letters)
  }

  /// Two durable queues, one behind the other, and a consumer of the second.
  private static func declare(_ server: ServerProcess) -> LineConnection {
    let connection = LineConnection(server, timeoutS: 20)
    let lines: [StaticString] = [
      "{\"op\":\"rabbitmq.queueDeclare\",\"queue\":\"work\",\"durable\":true}\n",
      """
      {"op":"rabbitmq.queueDeclare","queue":"waiting","durable":true,"arguments":{"x-dead-letter-exchange":"",\
      "x-dead-letter-routing-key":"work"}}

      """,
      "{\"op\":\"rabbitmq.consume\",\"queue\":\"work\",\"noAck\":true}\n",
    ]
    for line in lines {
      var out = ByteBuffer()
      out.append(line)
      connection.exchange(&out)
    }
    return connection
  }

  private static func publish(_ server: ServerProcess, _ ttlsMs: [Int], batch: Int) -> [Int64] {
    let connection = LineConnection(server)
    var sentNs: [Int64] = []
    var out = ByteBuffer(capacity: 64 << 10)
    while sentNs.count < ttlsMs.count {
      let end = min(ttlsMs.count, sentNs.count + batch)
      let nowNs = SystemClock.wallNs()
      var waiting = end - sentNs.count
      for number in sentNs.count..<end {
        out.append("{\"op\":\"rabbitmq.publish\",\"exchange\":\"\",\"routingKey\":\"waiting\",\"body\":\"")
        out.appendInteger(Int64(number))
        out.append("\",\"properties\":{\"deliveryMode\":2,\"expiration\":\"")
        out.appendInteger(Int64(ttlsMs[number]))
        out.append("\"}}\n")
        sentNs.append(nowNs)
      }
      connection.send(&out)
      while waiting > 0 {
        guard connection.receive() else { fail("a confirm did not come") }
        waiting -= connection.takeReplies()
      }
    }
    return sentNs
  }

  private static func report(_ server: ServerProcess, _ ttlsMs: [Int], _ sentNs: [Int64], _ letters: Letters) {
    var latenessNs: [Int64] = []
    var early = 0
    for number in ttlsMs.indices where letters.readNs[number] > 0 {
      let lateNs = letters.readNs[number] - sentNs[number] - Int64(ttlsMs[number]) * 1_000_000
      if lateNs < 0 { early += 1 }
      latenessNs.append(lateNs)
    }
    let missing = ttlsMs.count - latenessNs.count
    let publishedMs = (sentNs[sentNs.count - 1] - sentNs[0]) / 1_000_000
    say("headofline: \(ttlsMs.count) messages, \(ttlsMs[0]) ms down to \(ttlsMs[ttlsMs.count - 1]) ms, longest first")
    say("  published within \(publishedMs) ms, load \(Figures.machineLoad())")
    if !latenessNs.isEmpty { say("  lateness  \(Figures.distribution(ns: latenessNs))") }
    say("  early \(early)  twice \(letters.twice)  missing \(missing)")
    if early + letters.twice + missing > 0 {
      server.stop()
      exit(1)
    }
  }
}

/// When each dead letter was read.
private final class Letters: @unchecked Sendable {
  var readNs: [Int64]
  var twice = 0

  init(_ count: Int) { readNs = [Int64](repeating: 0, count: count) }

  /// Reads until all have come, or none comes any more.
  func receive(_ connection: LineConnection) {
    var received = 0
    while received < readNs.count {
      guard connection.hasUnread || connection.receive() else { return }
      let nowNs = SystemClock.wallNs()
      while let line = connection.nextLine() {
        guard let number = LineScan.number(after: "\"body\":\"", in: line), readNs.indices.contains(number) else {
          fail("not a message: \(String(decoding: line, as: UTF8.self))")
        }
        if readNs[number] > 0 { twice += 1 } else { received += 1 }
        readNs[number] = nowNs
      }
    }
  }
}
