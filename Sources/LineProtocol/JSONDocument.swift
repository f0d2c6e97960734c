// A whole JSON text that is no request, such as a file of settings: validated by the scanner of requests, then walked through.
//
// Holds: a document has passed every rule that a request has to (RFC 8259 to the letter, no key twice, nesting up to 32).
// Leaves to others: what its keys mean.

import Primitives

/// A validated JSON object.
public final class JSONDocument {
  private let bytes: UnsafeMutableRawBufferPointer
  private let count: Int
  private let arena = ScratchArena()

  /// What is wrong with a text, and where.
  public struct Fault: Error, Equatable, CustomStringConvertible {
    /// The line, from 1.
    public let line: Int
    /// The byte of the line, from 1.
    public let column: Int
    /// What is wrong.
    public let reason: String

    /// All of it in a line.
    public var description: String { "line \(line), byte \(column): \(reason)" }
  }

  /// Validates a text; it is copied.
  ///
  /// - Throws: when it is no JSON object.
  /// - Complexity: O(length).
  public init(_ text: UnsafeRawBufferPointer) throws(Fault) {
    bytes = .allocate(byteCount: max(text.count, 1), alignment: 16)
    bytes.copyMemory(from: text)
    count = text.count
    let start = UnsafePointer(bytes.baseAddress!.assumingMemoryBound(to: UInt8.self))
    var scanner = JSONScanner(arena: arena)
    scanner.end = start + count
    let first = JSONScanner.skipSpace(start, scanner.end)
    guard first < scanner.end, first[0] == UInt8(ascii: "{") else {
      throw Self.fault("a JSON object was expected", at: first, in: start)
    }
    guard let objectEnd = scanner.scanValue(first, depth: 0) else {
      let reason = scanner.fault == .ends ? "the text ends too early" : scanner.fault.rawValue
      throw Self.fault(reason, at: scanner.faultAt, in: start)
    }
    let rest = JSONScanner.skipSpace(objectEnd, scanner.end)
    guard rest == scanner.end else { throw Self.fault(JSONFault.trailing.rawValue, at: rest, in: start) }
  }

  deinit { bytes.deallocate() }

  /// Walks through the object in the order of the text.
  ///
  /// - Parameter body: what it is given is good until it returns.
  public func withMembers<Result, Failure: Error>(
    _ body: (inout ObjectCursor) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    var start = UnsafePointer(bytes.baseAddress!.assumingMemoryBound(to: UInt8.self))
    let end = start + count
    start = JSONScanner.skipSpace(start, end)
    var cursor = ObjectCursor(validated: UnsafeRawBufferPointer(start: start, count: end - start), arena: arena)
    return try body(&cursor)
  }

  private static func fault(_ reason: String, at place: Place, in start: Place) -> Fault {
    let before = UnsafeBufferPointer(start: start, count: place - start)
    let line = before.reduce(1) { $0 + ($1 == UInt8(ascii: "\n") ? 1 : 0) }
    let lineStart = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
    return Fault(line: line, column: before.count - lineStart + 1, reason: reason)
  }
}
