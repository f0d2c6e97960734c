// A set of field names as 256 bits: what a request carries, what an operation takes.
//
// Holds: one bit for each `FieldName.index`; all operations cost a few instructions and no memory.

/// A set of `FieldName`s; write it as an array literal.
public struct FieldSet: Equatable, Sendable, ExpressibleByArrayLiteral {
  // Four plain words: a vector would be written by the word and read whole, which stalls the processor.
  @usableFromInline var word0: UInt64 = 0
  @usableFromInline var word1: UInt64 = 0
  @usableFromInline var word2: UInt64 = 0
  @usableFromInline var word3: UInt64 = 0

  /// The empty set.
  @inlinable public init() {}

  @inlinable init(_ word0: UInt64, _ word1: UInt64, _ word2: UInt64, _ word3: UInt64) {
    (self.word0, self.word1, self.word2, self.word3) = (word0, word1, word2, word3)
  }

  /// The set of these names. Build sets once, not for every request.
  public init(arrayLiteral elements: FieldName...) {
    for element in elements { insert(element) }
  }

  /// Adds a name.
  @inlinable public mutating func insert(_ field: FieldName) {
    let bit: UInt64 = 1 << UInt64(field.index & 63)
    switch field.index >> 6 {
    case 0: word0 |= bit
    case 1: word1 |= bit
    case 2: word2 |= bit
    default: word3 |= bit
    }
  }

  /// Whether the name is in the set.
  @inlinable public func contains(_ field: FieldName) -> Bool {
    let word =
      switch field.index >> 6 {
      case 0: word0
      case 1: word1
      case 2: word2
      default: word3
      }
    return word >> UInt64(field.index & 63) & 1 == 1
  }

  /// Whether no name is in the set.
  @inlinable public var isEmpty: Bool { word0 | word1 | word2 | word3 == 0 }

  /// How many names are in the set.
  @inlinable public var count: Int {
    word0.nonzeroBitCount + word1.nonzeroBitCount + word2.nonzeroBitCount + word3.nonzeroBitCount
  }

  /// The names in either.
  @inlinable public func union(_ other: FieldSet) -> FieldSet {
    FieldSet(word0 | other.word0, word1 | other.word1, word2 | other.word2, word3 | other.word3)
  }

  /// The names that the other set does not have.
  @inlinable public func subtracting(_ other: FieldSet) -> FieldSet {
    FieldSet(word0 & ~other.word0, word1 & ~other.word1, word2 & ~other.word2, word3 & ~other.word3)
  }

  /// The names in the order of the table, as an array for messages.
  public var names: [FieldName] { FieldName.allCases.filter(contains) }
}
