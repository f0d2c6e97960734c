// Reads JSON texts that are not requests of the line protocol: what other protocols carry inside their frames.
//
// Holds: the same rules as for a line (RFC 8259, no key twice, nesting of at most 32), for any kind of value. What `parse`
// gives points into the text or into memory of the reader, and is good until the next `parse`.
// Leaves to others: which members a text must have.

/// Why a text is not acceptable JSON.
public struct JSONError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What is wrong, in words.
  public let reason: String
  /// The byte at which it is wrong, from 1.
  public let position: Int

  /// Reason and position in one line.
  public var description: String { "\(reason), at byte \(position)" }
}

/// A reusable reader of JSON texts. Not for use by two threads at a time.
public final class JSONReader {
  private let arena = ScratchArena()
  // Behind a pointer for the same reason as in `RequestReader`.
  private let scanner: UnsafeMutablePointer<JSONScanner>

  /// Makes a reader; about 6 KiB.
  public init() {
    scanner = .allocate(capacity: 1)
    scanner.initialize(to: JSONScanner(arena: arena))
  }

  deinit {
    scanner.deinitialize(count: 1)
    scanner.deallocate()
  }

  /// Validates one JSON value with nothing but white space around it.
  ///
  /// - Parameter text: must stay where it is as long as the value is used.
  /// - Complexity: O(text).
  public func parse(_ text: UnsafeRawBufferPointer) throws(JSONError) -> JSONValue {
    arena.reset()
    guard let base = text.baseAddress, text.count > 0 else {
      throw JSONError(reason: "the text is empty", position: 1)
    }
    if let raw = scanner.pointee.scanText(text) { return JSONValue(raw: raw, arena: arena) }
    let position = UnsafeRawPointer(scanner.pointee.faultAt) - base + 1
    let fault = scanner.pointee.fault
    throw JSONError(reason: fault == .ends ? "the text ends too early" : fault.rawValue, position: position)
  }
}

extension JSONScanner {
  /// The value that is all of the text, without the white space around it; nil after a fault.
  fileprivate mutating func scanText(_ text: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
    let base = text.baseAddress!.assumingMemoryBound(to: UInt8.self)
    end = base + text.count
    ledger.reset()
    let start = Self.skipSpace(base, end)
    guard let valueEnd = scanValue(start, depth: 0) else { return nil }
    let rest = Self.skipSpace(valueEnd, end)
    guard rest == end else {
      _ = fail(.trailing, at: rest)
      return nil
    }
    return UnsafeRawBufferPointer(start: start, count: valueEnd - start)
  }
}
