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
    var told = 0
    for number in 0..<count - 1 {
      write(number, .none, &out)
      if out.count >= 256 << 10 {
        connection.send(&out)
        Progress.advance(number - told)
        told = number
      }
    }
    write(count - 1, .disk, &out)
    connection.exchange(&out)
    Progress.advance(count - told)
  }

  /// Sends `count` requests that each ask for a reply from stable storage, at most `window` without one. Replies come in order.
  ///
  /// This is a closed loop: a request's intended start is the moment at which its place in the window came free, so a server that
  /// stalls is charged for every request that waits meanwhile, not only for those that it has seen.
  static func answered(
    _ connection: LineConnection, _ count: Int, window: Int, _ write: (Int, RequestText.Acks, inout ByteBuffer) -> Void
  ) -> Answers {
    answered(
      connection, count, window: window, write: { write($0, .disk, &$1) }, endPiece: { _ in },
      takeReplies: connection.takeReplies)
  }

  /// The same on any wire: `write` writes a request, `endPiece` what a piece needs at its end before it is sent, and `takeReplies`
  /// takes what was received and gives how many requests it answers.
  static func answered(
    _ connection: LineConnection, _ count: Int, window: Int, write: (Int, inout ByteBuffer) -> Void,
    endPiece: (inout ByteBuffer) -> Void, takeReplies: () -> Int
  ) -> Answers {
    let startNs = SystemClock.bootNs()
    var answers = Answers(startNs: startNs)
    var freeNs = [Int64](repeating: startNs, count: window)
    var out = ByteBuffer(capacity: 300 << 10)
    var sent = 0
    var answered = 0
    while answered < count {
      while sent < count, sent - answered < window, out.count < 64 << 10 {
        write(sent, &out)
        sent += 1
      }
      endPiece(&out)
      connection.send(&out)
      if sent == count || sent - answered >= window {
        guard connection.receive() else { fail("no reply came") }
        let taken = takeReplies()
        let nowNs = SystemClock.bootNs()
        for number in answered..<answered + taken {
          answers.times.record(nowNs - freeNs[number % window])
          freeNs[number % window] = nowNs
        }
        answered += taken
        answers.rate.add(taken, atNs: nowNs)
        Progress.advance(taken)
      }
    }
    return answers
  }

  /// What came back, and when.
  struct Answers {
    var times = LatencyHistogram()
    var rate: RateSeries

    init(startNs: Int64) { rate = RateSeries(startNs: startNs) }
  }
}
