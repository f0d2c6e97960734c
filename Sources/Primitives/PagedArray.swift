// An array that never moves: pages of raw memory, so that growing to ten million elements never copies one, and a pointer
// to an element stays good.
//
// Holds: elements are trivial values; an index below `count` is always there.
// Leaves to others: what a free element looks like (the owner's free list).
//
// No exclusivity checks on what every message touches: one thread owns it, and the checks took 13 % of a burst's time.

/// A growing array of trivial elements in pages of 4 096.
public final class PagedArray<Element: BitwiseCopyable> {
  @usableFromInline static var pageBits: Int { 12 }
  @exclusivity(unchecked) @usableFromInline var pages: UnsafeMutablePointer<UnsafeMutablePointer<Element>>
  @exclusivity(unchecked) @usableFromInline var pageCapacity = 64
  @exclusivity(unchecked) @usableFromInline var pageCount = 0
  @usableFromInline let filler: Element
  /// The number of elements.
  @exclusivity(unchecked) public private(set) var count = 0

  /// An empty array; new elements are copies of `filler`.
  public init(filler: Element) {
    self.filler = filler
    pages = .allocate(capacity: pageCapacity)
  }

  deinit {
    for page in 0..<pageCount { pages[page].deallocate() }
    pages.deallocate()
  }

  /// Grows to at least `count` elements. Amortised O(1) an element, never moves one.
  public func grow(to count: Int) {
    while pageCount << Self.pageBits < count {
      if pageCount == pageCapacity {
        let larger = UnsafeMutablePointer<UnsafeMutablePointer<Element>>.allocate(capacity: pageCapacity * 2)
        larger.moveInitialize(from: pages, count: pageCount)
        pages.deallocate()
        pages = larger
        pageCapacity *= 2
      }
      let page = UnsafeMutablePointer<Element>.allocate(capacity: 1 << Self.pageBits)
      page.initialize(repeating: filler, count: 1 << Self.pageBits)
      pages[pageCount] = page
      pageCount += 1
    }
    self.count = max(self.count, count)
  }

  /// A pointer to an element; `index` must be below `count`.
  @inlinable public func pointer(_ index: UInt32) -> UnsafeMutablePointer<Element> {
    pages[Int(index) >> Self.pageBits] + (Int(index) & (1 << Self.pageBits - 1))
  }

  /// An element.
  @inlinable public subscript(index: UInt32) -> Element {
    get { pointer(index).pointee }
    set { pointer(index).pointee = newValue }
  }
}
