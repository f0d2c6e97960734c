// Events that wait to be taken, in the order in which they happened.

import ReplicatedStream

struct EventQueue {
  private var events: [StreamEvent?] = []
  private var head = 0

  var isEmpty: Bool { head == events.count }

  mutating func append(_ event: StreamEvent) { events.append(event) }

  /// Amortised O(1).
  mutating func popFirst() -> StreamEvent? {
    guard head < events.count else { return nil }
    let event = events[head]
    events[head] = nil
    head += 1
    if head == events.count {
      events.removeAll(keepingCapacity: events.count <= 1 << 12)
      head = 0
    }
    return event
  }
}
