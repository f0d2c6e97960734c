// Which slots of one level hold timers: a bit a slot, and above the words a summary bit a word.
//
// Holds: a summary bit is set exactly when its word is not zero.
// Leaves to others: the memory's lifetime (TimingWheel releases it), what a slot means.

/// A bitmap of a level's slots in which the next occupied slot is found by a few instructions: two words up to 4096
/// slots, and one more word for each further 4096.
@frozen @usableFromInline
struct OccupancyBitmap {
  @usableFromInline let words: UnsafeMutablePointer<UInt64>
  @usableFromInline let summary: UnsafeMutablePointer<UInt64>
  @usableFromInline let bitCount: Int
  @usableFromInline let wordCount: Int
  @usableFromInline let summaryCount: Int

  /// An empty bitmap for `bitCount` slots.
  init(bitCount: Int) {
    self.bitCount = bitCount
    wordCount = (bitCount + 63) / 64
    summaryCount = (wordCount + 63) / 64
    words = .allocate(capacity: wordCount + summaryCount)
    words.initialize(repeating: 0, count: wordCount + summaryCount)
    summary = words + wordCount
  }

  func deallocate() { words.deallocate() }

  @inlinable func contains(_ bit: Int) -> Bool { words[bit &>> 6] &>> UInt64(truncatingIfNeeded: bit & 63) & 1 == 1 }

  @inlinable func insert(_ bit: Int) {
    let word = bit &>> 6
    words[word] |= 1 &<< UInt64(truncatingIfNeeded: bit & 63)
    summary[word &>> 6] |= 1 &<< UInt64(truncatingIfNeeded: word & 63)
  }

  @inlinable func remove(_ bit: Int) {
    let word = bit &>> 6
    words[word] &= ~(1 &<< UInt64(truncatingIfNeeded: bit & 63))
    if words[word] == 0 { summary[word &>> 6] &= ~(1 &<< UInt64(truncatingIfNeeded: word & 63)) }
  }

  @inlinable var isEmpty: Bool {
    for index in 0..<summaryCount where summary[index] != 0 { return false }
    return true
  }

  /// The first set bit at or after `bit`; nil when there is none up to the end.
  @inlinable func first(from bit: Int) -> Int? {
    guard bit < bitCount else { return nil }
    let rest = words[bit &>> 6] &>> UInt64(truncatingIfNeeded: bit & 63)
    if rest != 0 { return bit &+ rest.trailingZeroBitCount }
    let nextWord = (bit &>> 6) &+ 1
    guard nextWord < wordCount else { return nil }
    var place = nextWord &>> 6
    var candidates = summary[place] & (~0 &<< UInt64(truncatingIfNeeded: nextWord & 63))
    while candidates == 0 {
      place &+= 1
      guard place < summaryCount else { return nil }
      candidates = summary[place]
    }
    let word = (place &<< 6) &+ candidates.trailingZeroBitCount
    return (word &<< 6) &+ words[word].trailingZeroBitCount
  }

  /// How many slots after `bit`, going round, the next set bit is (1 ..< bitCount); nil when no other bit is set.
  @inlinable func distanceToNext(after bit: Int) -> Int? {
    if let ahead = first(from: bit &+ 1) { return ahead &- bit }
    guard let wrapped = first(from: 0), wrapped < bit else { return nil }
    return wrapped &+ bitCount &- bit
  }
}
