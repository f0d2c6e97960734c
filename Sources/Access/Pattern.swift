// Patterns of names: `*` stands for any run of bytes, also an empty one and one with dots in it.
//
// Holds: matching never takes more than O(pattern × name) steps, whatever either of them is.
// Leaves to others: which kinds of names a pattern is about (`Grant`).

/// A pattern of names, ready for matching.
public struct Pattern: Hashable, Sendable {
  /// One byte of a pattern.
  enum Element: Hashable, Sendable {
    case byte(UInt8)
    case anyRun
  }

  let elements: [Element]
  /// Whether every name matches.
  public let matchesEverything: Bool

  static let everything = Pattern(elements: [.anyRun])

  private init(elements: [Element]) {
    self.elements = elements
    matchesEverything = elements == [.anyRun]
  }

  /// Reads a pattern: `*` any run of bytes; `\` makes the byte behind it an ordinary one.
  ///
  /// - Throws: `badGrant` when the text ends with a `\`.
  init(_ text: ArraySlice<UInt8>) throws(AccessError) {
    var elements: [Element] = []
    var rest = text
    while let byte = rest.popFirst() {
      switch byte {
      case UInt8(ascii: "*"):
        if elements.last != .anyRun { elements.append(.anyRun) }
      case UInt8(ascii: "\\"):
        guard let literal = rest.popFirst() else {
          throw AccessError.badGrant("it ends with a '\\'; write '\\\\' for a backslash in a name")
        }
        elements.append(.byte(literal))
      default: elements.append(.byte(byte))
      }
    }
    self.init(elements: elements)
  }

  /// Whether the name matches.
  public func matches(_ name: UnsafeRawBufferPointer) -> Bool {
    if matchesEverything { return true }
    // Where to go on when the run of the last `*` has to take one byte more.
    var retry: (element: Int, place: Int)?
    var element = 0
    var place = 0
    while place < name.count {
      if element < elements.count, elements[element] == .anyRun {
        retry = (element + 1, place)
        element += 1
      } else if element < elements.count, elements[element] == .byte(name[place]) {
        element += 1
        place += 1
      } else if let last = retry {
        retry = (last.element, last.place + 1)
        (element, place) = (last.element, last.place + 1)
      } else {
        return false
      }
    }
    while element < elements.count, elements[element] == .anyRun { element += 1 }
    return element == elements.count
  }
}
