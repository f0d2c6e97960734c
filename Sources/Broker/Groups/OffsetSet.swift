// A set of topic offsets as pages of bits: one bit an offset where there are any, 4096 offsets a page, nothing elsewhere.
//
// Holds: `count` is the number of bits set; a page without bits is not there, and a full page has no words.
// Leaves to others: what it means to be in the set.

import Primitives

/// A set of offsets.
struct OffsetSet {
  private static let pageBits: UInt64 = 12
  private static let pageOffsets = 1 << Int(pageBits)
  private struct Page {
    /// 64 words; empty when every bit is set.
    var words: [UInt64]
    var count: Int
  }
  private var pages: [UInt64: Page] = [:]
  private(set) var count = 0

  func contains(_ offset: TopicOffset) -> Bool {
    guard count > 0, let page = pages[offset >> Self.pageBits] else { return false }
    return page.words.isEmpty || page.words[Self.word(offset)] & Self.bit(offset) != 0
  }

  /// O(1); false when it was there.
  @discardableResult mutating func insert(_ offset: TopicOffset) -> Bool {
    if contains(offset) { return false }
    let key = offset >> Self.pageBits
    pages[key, default: Page(words: Array(repeating: 0, count: Self.pageOffsets / 64), count: 0)]
      .words[Self.word(offset)] |= Self.bit(offset)
    pages[key]!.count += 1
    if pages[key]!.count == Self.pageOffsets { pages[key]!.words = [] }
    count += 1
    return true
  }

  /// O(1); false when it was not there.
  @discardableResult mutating func remove(_ offset: TopicOffset) -> Bool {
    guard contains(offset) else { return false }
    let key = offset >> Self.pageBits
    if pages[key]!.words.isEmpty {
      pages[key]!.words = Array(repeating: .max, count: Self.pageOffsets / 64)
    }
    pages[key]!.words[Self.word(offset)] &= ~Self.bit(offset)
    pages[key]!.count -= 1
    if pages[key]!.count == 0 { pages[key] = nil }
    count -= 1
    return true
  }

  /// Removes `offset` and what follows it without a gap; gives the first that was not there. O(full pages + offsets in others).
  mutating func removeRun(from offset: TopicOffset) -> TopicOffset {
    var next = offset
    while count > 0 {
      let isPageStart = next & UInt64(Self.pageOffsets - 1) == 0
      if isPageStart, let page = pages[next >> Self.pageBits], page.words.isEmpty {
        pages[next >> Self.pageBits] = nil
        count -= Self.pageOffsets
        next += UInt64(Self.pageOffsets)
      } else if remove(next) {
        next += 1
      } else {
        break
      }
    }
    return next
  }

  /// Removes all offsets in a range. O(pages of the range), and O(offsets) in its first and last.
  mutating func remove(in range: Range<TopicOffset>) {
    var next = range.lowerBound
    while count > 0, next < range.upperBound {
      let key = next >> Self.pageBits
      let pageEnd = (key + 1) << Self.pageBits
      guard let page = pages[key] else {
        next = pageEnd
        continue
      }
      if next & UInt64(Self.pageOffsets - 1) == 0, pageEnd <= range.upperBound {
        pages[key] = nil
        count -= page.count
        next = pageEnd
      } else {
        remove(next)
        next += 1
      }
    }
  }

  /// Whether all offsets of a range are there. O(pages), and O(offsets) in pages that are neither full nor missing.
  func contains(all range: Range<TopicOffset>) -> Bool {
    var next = range.lowerBound
    while next < range.upperBound {
      guard let page = pages[next >> Self.pageBits] else { return false }
      if page.words.isEmpty {
        next = (next >> Self.pageBits + 1) << Self.pageBits
      } else if contains(next) {
        next += 1
      } else {
        return false
      }
    }
    return true
  }

  /// All offsets, ascending. O(pages log pages + offsets).
  var offsets: [TopicOffset] {
    var all: [TopicOffset] = []
    all.reserveCapacity(count)
    for (key, page) in pages.sorted(by: { $0.key < $1.key }) {
      let first = key << Self.pageBits
      if page.words.isEmpty {
        all += first..<first + UInt64(Self.pageOffsets)
        continue
      }
      for (position, word) in page.words.enumerated() {
        var rest = word
        while rest != 0 {
          all.append(first + UInt64(position * 64 + rest.trailingZeroBitCount))
          rest &= rest - 1
        }
      }
    }
    return all
  }

  private static func word(_ offset: TopicOffset) -> Int { Int(offset & UInt64(pageOffsets - 1)) >> 6 }
  private static func bit(_ offset: TopicOffset) -> UInt64 { 1 << (offset & 63) }

  // MARK: Checkpoints

  /// Bytes: u32 n pages: u64 page, u16 words (64, or 0 for a full page), words.
  func write(to writer: inout StateWriter) {
    writer.write(UInt32(pages.count))
    // In order, not by hash: the same run writes the same bytes.
    for (key, page) in pages.sorted(by: { $0.key < $1.key }) {
      writer.write(key)
      writer.write(UInt16(page.words.count))
      for word in page.words { writer.write(word) }
    }
  }

  init() {}

  init(_ reader: inout StateReader) throws(CheckpointFault) {
    for _ in 0..<(try reader.read(UInt32.self)) {
      let key = try reader.read(UInt64.self)
      var page = Page(words: [], count: Self.pageOffsets)
      let words = Int(try reader.read(UInt16.self))
      if words > 0 {
        guard words == Self.pageOffsets / 64 else { throw CheckpointFault.short }
        page.count = 0
        for _ in 0..<words {
          page.words.append(try reader.read(UInt64.self))
          page.count += page.words[page.words.count - 1].nonzeroBitCount
        }
      }
      pages[key] = page
      count += page.count
    }
  }
}
