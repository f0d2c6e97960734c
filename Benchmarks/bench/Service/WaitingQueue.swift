// What `bench headofline` and `bench expiry` share: a queue whose messages wait for the end of their time to live, the queue
// of their dead letters, and when each came.
//
// Lateness is the wall time at which the read that brought the dead letter returned, minus the time at which the message's
// batch began to be sent, minus its time to live: so it counts the way to the server and back too, and is never too good.
// Holds: message n has n as its body and the n-th of `ttlsMs` to live.

import Glibc
import LineProtocol
import Platform
import Primitives

final class WaitingQueue {
  let ttlsMs: [Int]
  private var sentNs: [Int64] = []

  init(ttlsMs: [Int]) { self.ttlsMs = ttlsMs }

  /// Two durable queues, one behind the other.
  func declare(_ server: ServerProcess) {
    let connection = LineConnection(server)
    perform(connection, "{\"op\":\"rabbitmq.queueDeclare\",\"queue\":\"work\",\"durable\":true}\n")
    perform(
      connection,
      """
      {"op":"rabbitmq.queueDeclare","queue":"waiting","durable":true,"arguments":{"x-dead-letter-exchange":"",\
      "x-dead-letter-routing-key":"work"}}

      """)
  }

  /// A consumer of the dead letters, whose reads give up after `timeoutS`.
  func consume(_ server: ServerProcess, timeoutS: Int) -> LineConnection {
    let connection = LineConnection(server, timeoutS: timeoutS)
    perform(connection, "{\"op\":\"rabbitmq.consume\",\"queue\":\"work\",\"noAck\":true}\n")
    return connection
  }

  private func perform(_ connection: LineConnection, _ line: StaticString) {
    var out = ByteBuffer()
    out.append(line)
    connection.exchange(&out)
  }

  /// Publishes all messages, persistent, `batch` before their confirms are read. Gives how long it took.
  func publish(_ server: ServerProcess, batch: Int) -> Int64 {
    let connection = LineConnection(server)
    let startNs = SystemClock.wallNs()
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
    return SystemClock.wallNs() - startNs
  }

  /// Tells the report how late the letters came, and whether one came early, twice or not at all.
  func fill(_ report: inout Report, _ letters: Letters) {
    var lateness = LatencyHistogram()
    var rate = RateSeries(startNs: letters.readNs.filter { $0 > 0 }.min() ?? 0)
    for number in ttlsMs.indices where letters.readNs[number] > 0 {
      lateness.record(letters.readNs[number] - sentNs[number] - Int64(ttlsMs[number]) * 1_000_000)
      rate.add(1, atNs: letters.readNs[number])
    }
    report.add("lateness", lateness)
    report.add("dead letters", rate)
    report.check(lateness.early == 0, "\(lateness.early) came early")
    report.check(letters.twice == 0, "\(letters.twice) came twice")
    report.check(lateness.count == ttlsMs.count, "\(ttlsMs.count - lateness.count) did not come")
  }
}

/// When each dead letter was read.
final class Letters: @unchecked Sendable {
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
        Progress.advance(1)
        readNs[number] = nowNs
      }
    }
  }
}
