// A first-in, first-out queue of trivial elements in one array: what waits for its turn somewhere in the broker.

/// A queue. Memory for `keptMax` elements stays when it runs empty.
public struct Fifo<Element: BitwiseCopyable> {
  private let keptMax: Int
  private var elements: [Element] = []
  private var head = 0

  /// An empty queue.
  public init(keptMax: Int = 1 << 12) { self.keptMax = keptMax }

  /// The number of elements.
  public var count: Int { elements.count - head }
  /// Whether there are none.
  public var isEmpty: Bool { head == elements.count }

  /// The element `distance` places behind the first; nil behind the last.
  @inline(__always)
  public func ahead(_ distance: Int) -> Element? {
    head + distance < elements.count ? elements[head + distance] : nil
  }

  /// Adds an element at the end. Amortised O(1).
  public mutating func append(_ element: Element) { elements.append(element) }

  /// Puts an element in front of all others. O(1) for the one that was taken out last.
  public mutating func putBack(_ element: Element) {
    if head > 0 {
      head -= 1
      elements[head] = element
    } else {
      elements.insert(element, at: 0)
    }
  }

  /// Takes the first element out; there must be one. Amortised O(1).
  public mutating func removeFirst() -> Element {
    let first = elements[head]
    head += 1
    if head == elements.count {
      elements.removeAll(keepingCapacity: elements.count <= keptMax)
      head = 0
    } else if head >= 1 << 16, head * 2 > elements.count {
      elements.removeFirst(head)
      head = 0
    }
    return first
  }
}
