// Messages that are due and have not been released yet, in (due, sequence) order. The messages of a burst wait here.
//
// Holds: sorted before anything is taken out. Arrivals are nearly always in order already, so sorting is a check.
// Leaves to others: whether an element is stale (its slot may have been freed and used again: compare the sequence).

import Primitives

struct DueMessage: BitwiseCopyable {
  var dueMs: UnixMs
  var sequence: Sequence
  var index: UInt32

  var place: Watermark { Watermark(dueMs: dueMs, sequence: sequence) }

  static func isBefore(_ left: DueMessage, _ right: DueMessage) -> Bool {
    (left.dueMs, left.sequence) < (right.dueMs, right.sequence)
  }
}

/// A sorted queue.
struct DueQueue {
  /// Memory for so many elements is kept when the queue runs empty, 6 MiB.
  private static let keptMax = 1 << 18

  private var elements: [DueMessage] = []
  private var head = 0
  private var isSorted = true

  var count: Int { elements.count - head }
  var isEmpty: Bool { head == elements.count }
  var first: DueMessage? { isEmpty ? nil : elements[head] }
  var last: DueMessage? { isEmpty ? nil : elements[elements.count - 1] }
  /// The due time of the last element.
  var lastDueMs: UnixMs? { last?.dueMs }

  /// The element `distance` positions behind the first.
  func ahead(_ distance: Int) -> DueMessage? {
    head + distance < elements.count ? elements[head + distance] : nil
  }

  /// How many stand in front of `bound`; with nil all. O(log n), once sorted.
  func count(inFrontOf bound: Watermark?) -> Int {
    guard let bound, let last, last.place >= bound else { return count }
    var low = head
    var high = elements.count
    while low < high {
      let middle = (low + high) / 2
      if elements[middle].place < bound { low = middle + 1 } else { high = middle }
    }
    return low - head
  }

  /// Whether one may stand in front of `bound`.
  func hasAny(inFrontOf bound: Watermark?) -> Bool {
    guard let bound, isSorted else { return !isEmpty }
    return first.map { $0.place < bound } ?? false
  }

  /// Makes room for `count` more at once: growing by doubling would copy a burst's elements again and again.
  mutating func reserve(_ count: Int) {
    let needed = elements.count + count
    if needed > elements.capacity { elements.reserveCapacity(max(needed, elements.capacity * 2)) }
  }

  mutating func append(_ message: DueMessage) {
    if !isEmpty, DueMessage.isBefore(message, elements[elements.count - 1]) { isSorted = false }
    elements.append(message)
  }

  /// Appends all elements of another queue, which is empty then. O(1) when this one is empty.
  mutating func append(arriving other: inout DueQueue) {
    if isEmpty {
      swap(&self, &other)
    } else {
      for position in 0..<other.count { if let next = other.ahead(position) { append(next) } }
    }
    other = DueQueue()
  }

  /// Puts the elements in order if they are not.
  mutating func sort() {
    if isSorted { return }
    elements.removeFirst(head)
    head = 0
    elements.sort(by: DueMessage.isBefore)
    isSorted = true
  }

  mutating func removeFirst() {
    head += 1
    if head == elements.count {
      elements.removeAll(keepingCapacity: elements.count <= Self.keptMax)
      head = 0
    }
  }
}
