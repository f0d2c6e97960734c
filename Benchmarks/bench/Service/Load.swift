// Loading a server with messages from one connection, pipelined.

import LineProtocol
import Platform
import Primitives

enum Load {
  /// What two processors do at least, to say beforehand how long a benchmark will take.
  static let usualMessagesPerSecond = 250_000

  /// Sends `count` requests written by `write` that ask for no reply, the last one with one: when it has come, all are
  /// accepted and on stable storage.
  static func unanswered(
    _ connection: LineConnection, _ count: Int, _ write: (Int, RequestText.Acks, inout ByteBuffer) -> Void
  ) {
    guard count > 0 else { return }
    var out = ByteBuffer(capacity: 300 << 10)
    for number in 0..<count - 1 {
      write(number, .none, &out)
      if out.count >= 256 << 10 { connection.send(&out) }
    }
    write(count - 1, .disk, &out)
    connection.exchange(&out)
  }

  /// Sends `count` requests that each ask for a reply from stable storage, at most `window` without one.
  static func answered(
    _ connection: LineConnection, _ count: Int, window: Int, _ write: (Int, RequestText.Acks, inout ByteBuffer) -> Void
  ) {
    var out = ByteBuffer(capacity: 300 << 10)
    var sent = 0
    var answered = 0
    while answered < count {
      while sent < count, sent - answered < window, out.count < 64 << 10 {
        write(sent, .disk, &out)
        sent += 1
      }
      connection.send(&out)
      if sent == count || sent - answered >= window {
        guard connection.receive() else { fail("no reply came") }
        answered += connection.takeReplies()
      }
    }
  }
}
