// A member of a group on a connection of its own: reads events, acknowledges all that a read brought with one line.
//
// Holds: offsets are checked: each comes once, in order (one member, nothing refused).
// Leaves to others: what the events are measured for.

import LineProtocol
import Platform
import Primitives

final class GroupReader: @unchecked Sendable {
  private let connection: LineConnection
  private var out = ByteBuffer(capacity: 4096)
  private var nextOffset = 0
  /// Messages received.
  private(set) var received = 0
  /// When the last read that brought messages returned, Unix ns.
  private(set) var lastReadNs: Int64 = 0
  /// Offsets that did not come in order.
  private(set) var outOfOrder = 0

  init(_ server: ServerProcess, _ text: RequestText, credit: Int = 65_536, timeoutS: Int = 60) {
    connection = LineConnection(server, timeoutS: timeoutS)
    text.subscribe(group: "bench", credit: credit, to: &out)
    connection.exchange(&out)
  }

  /// Receives until `count` messages have come altogether; false when they stop coming. `use` gets each line, the place
  /// behind its offset, and the time of the read that brought it.
  func receive(
    until count: Int, _ use: (_ line: UnsafeRawBufferPointer, _ place: Int, _ readNs: Int64) -> Void = { _, _, _ in }
  ) -> Bool {
    while received < count {
      // What came with the reply to `subscribe` is there already.
      guard connection.hasUnread || connection.receive() else { return false }
      let readNs = SystemClock.wallNs()
      let before = received
      while let line = connection.nextLine() {
        var place = 20
        guard let offset = LineScan.number(after: "\"offset\":", in: line, &place) else {
          fail("not a message: \(String(decoding: line, as: UTF8.self))")
        }
        if offset != nextOffset { outOfOrder += 1 }
        nextOffset = offset + 1
        received += 1
        use(line, place, readNs)
      }
      guard received > before else { continue }
      lastReadNs = readNs
      Progress.advance(received - before)
      RequestText.ack(sub: 1, upTo: nextOffset - 1, to: &out)
      connection.send(&out)
    }
    return true
  }
}
