// The spilled messages of one lane, in the order of release: references to near messages that lie on disk because memory for near
// messages is used up.
//
// Holds: `bound` is at or in front of every message of the lane that is spilled or on its way back; a reference stays when its
// message is cancelled, and goes when its turn comes.
// Leaves to others: reading them (DelayStore), when to (Pending).
//
// Messages that are due in one millisecond come in order, one behind the other, and make a run that costs nothing to sort. What
// comes in front of the run's end goes to a heap.

import DelayStore
import Primitives
import TimingWheel

/// The spilled messages of a lane.
final class SpillQueue {
  @exclusivity(unchecked) private var run = SpilledRun()
  @exclusivity(unchecked) private var heap = SpilledHeap()
  /// The first of those that are being read.
  private var firstOnTheWay: Watermark?
  private var lastOnTheWayMs: UnixMs = 0
  /// When the last one that was brought back is due.
  private var broughtDueMs: UnixMs = 0
  /// When the last one of the part before that is due.
  private(set) var broughtBeforeDueMs: UnixMs = 0

  /// References, those of messages that were cancelled among them.
  var count: Int { run.count + heap.count }
  /// Whether nothing is spilled, and nothing on its way.
  var isEmpty: Bool { count == 0 && firstOnTheWay == nil }
  var isOnTheWay: Bool { firstOnTheWay != nil }

  /// When the first one is due that is not on its way; nil when there is none.
  var firstDueMs: UnixMs? { first?.dueMs }

  /// Everything that is spilled or on its way stands here or behind it; nil when there is nothing.
  var bound: Watermark? {
    guard let next = first?.place else { return firstOnTheWay }
    return min(next, firstOnTheWay ?? next)
  }

  private var first: SpilledMessage? {
    guard let ordered = run.first else { return heap.first }
    guard let other = heap.first else { return ordered }
    return other.place < ordered.place ? other : ordered
  }

  /// Adds a message. O(1) in order, else O(log n).
  func append(_ message: SpilledMessage) {
    if let last = run.last, message.place < last.place { heap.insert(message) } else { run.append(message) }
  }

  /// Takes the first messages to be read: of one slice, none behind `limit`, as many as have `bytesMax` and one at least.
  func takePart(bytesMax: Int, sliceMs: Int64, through limit: Watermark) -> [SpilledMessage] {
    precondition(firstOnTheWay == nil, "two parts of a lane are on their way")
    var part: [SpilledMessage] = []
    var bytes = 0
    while let next = first, next.place <= limit, part.count < Self.partMax {
      bytes += next.length
      if let head = part.first, bytes > bytesMax || head.dueMs / sliceMs != next.dueMs / sliceMs { break }
      if let ordered = run.first, ordered.place == next.place { run.removeFirst() } else { heap.removeFirst() }
      part.append(next)
    }
    if let head = part.first, let last = part.last {
      firstOnTheWay = head.place
      lastOnTheWayMs = last.dueMs
    }
    return part
  }

  /// The part that was taken has come.
  func noteBroughtBack() {
    firstOnTheWay = nil
    broughtBeforeDueMs = broughtDueMs
    broughtDueMs = lastOnTheWayMs
  }

  /// Messages of one part: what a turn takes back without holding up the loop.
  private static let partMax = 4096

  /// Calls `body` with every reference, in no order.
  func forEach(_ body: (SpilledMessage) -> Void) {
    run.forEach(body)
    heap.forEach(body)
  }
}

extension SpilledMessage {
  /// Its place in the order of release.
  @inline(__always) var place: Watermark { Watermark(dueMs: dueMs, sequence: sequence) }
}

/// References in ascending order. Memory comes and goes in pieces, so that growing never copies them.
private struct SpilledRun: ~Copyable {
  private static let pieceCount = 4096
  private var pieces: [UnsafeMutablePointer<SpilledMessage>] = []
  /// Elements taken out of the first piece.
  private var head = 0
  private(set) var count = 0
  private(set) var last: SpilledMessage?

  deinit { for piece in pieces { piece.deallocate() } }

  var first: SpilledMessage? { count == 0 ? nil : pieces[0][head] }

  mutating func append(_ message: SpilledMessage) {
    let end = head + count
    if end == pieces.count * Self.pieceCount { pieces.append(.allocate(capacity: Self.pieceCount)) }
    (pieces[end / Self.pieceCount] + end % Self.pieceCount).initialize(to: message)
    count += 1
    last = message
  }

  mutating func removeFirst() {
    head += 1
    count -= 1
    if count == 0 { last = nil }
    guard head == Self.pieceCount || count == 0 else { return }
    pieces.removeFirst().deallocate()
    head = 0
  }

  func forEach(_ body: (SpilledMessage) -> Void) {
    for place in head..<head + count { body(pieces[place / Self.pieceCount][place % Self.pieceCount]) }
  }
}

/// References in a heap, each with four below it.
private struct SpilledHeap: ~Copyable {
  private var elements = PagedArray(filler: SpilledMessage.none)
  private(set) var count = 0

  var first: SpilledMessage? { count == 0 ? nil : elements[0] }

  private func place(_ index: Int) -> Watermark { elements[UInt32(index)].place }

  mutating func insert(_ message: SpilledMessage) {
    elements.grow(to: count + 1)
    var hole = count
    count += 1
    while hole > 0, message.place < place((hole - 1) / 4) {
      elements[UInt32(hole)] = elements[UInt32((hole - 1) / 4)]
      hole = (hole - 1) / 4
    }
    elements[UInt32(hole)] = message
  }

  mutating func removeFirst() {
    count -= 1
    guard count > 0 else {
      // Gives its memory back.
      elements = PagedArray(filler: SpilledMessage.none)
      return
    }
    let moved = elements[UInt32(count)]
    var hole = 0
    while hole * 4 + 1 < count {
      let children = hole * 4 + 1..<min(hole * 4 + 5, count)
      var least = children.lowerBound
      for child in children.dropFirst() where place(child) < place(least) { least = child }
      if moved.place < place(least) { break }
      elements[UInt32(hole)] = elements[UInt32(least)]
      hole = least
    }
    elements[UInt32(hole)] = moved
  }

  func forEach(_ body: (SpilledMessage) -> Void) {
    for index in 0..<count { body(elements[UInt32(index)]) }
  }
}
