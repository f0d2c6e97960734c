// Reads one request: validates a whole line as JSON in one pass and notes its fields by name.
//
// Holds: after `parse` has returned, the line is a JSON object that follows every rule of the framing; everything that the
// accessors give points into the line or into memory of the reader, and is good until the next `parse`. The reader is made
// once and used for every line; in steady state it allocates nothing.
// Leaves to others: cutting lines (`LineFramer`), which operation takes which fields and which values are in range.

import Glibc

/// A reusable reader of requests. Not for use by two threads at a time.
public final class RequestReader {
  let arena: ScratchArena
  private let names: NameTable
  // Behind pointers: a class's stored properties are checked for exclusive access at run time, 5 ns each time.
  private let scanner: UnsafeMutablePointer<JSONScanner>
  let fields: UnsafeMutablePointer<RequestFields>

  /// Makes a reader; about 10 KiB.
  public init() {
    arena = ScratchArena()
    names = FieldName.table
    scanner = .allocate(capacity: 1)
    scanner.initialize(to: JSONScanner(arena: arena))
    fields = .allocate(capacity: 1)
    fields.initialize(to: RequestFields())
  }

  deinit {
    scanner.deinitialize(count: 1)
    scanner.deallocate()
    fields.deinitialize(count: 1)
    fields.deallocate()
  }

  /// Whether the line is only white space, and so to be ignored.
  public static func isBlank(_ line: UnsafeRawBufferPointer) -> Bool {
    for byte in line where byte != 0x20 && byte != 0x09 && byte != 0x0D { return false }
    return true
  }

  /// Validates the line and notes its fields. The line must stay where it is until the next `parse`.
  ///
  /// - Throws: `bad_json`, saying what is wrong and at which byte (from 1), after which the reader has no fields.
  /// - Complexity: O(line), for every line.
  public func parse(_ line: UnsafeRawBufferPointer) throws(Refusal) {
    arena.reset()
    if scanner.pointee.scanRequest(line, names: names, fields: &fields.pointee) { return }
    fields.pointee.clear()
    throw refusal(of: line)
  }

  /// The same for an object inside a line that another reader has parsed, such as one of `messages`.
  ///
  /// - Throws: `bad_request` when the value is not an object; `name` says in the message what it is.
  public func parseValidated(_ value: UnsafeRawBufferPointer, name: @autoclosure () -> String) throws(Refusal) {
    guard value.first == UInt8(ascii: "{") else { throw .badRequest("\(name()) must be an object") }
    try parse(value)
  }

  /// Walks through the text of an object that was validated when it was accepted. Good until the next call or `parse`.
  public func validatedObject(_ text: UnsafeRawBufferPointer) -> ObjectCursor {
    arena.reset()
    return ObjectCursor(validated: text, arena: arena)
  }

  /// The bytes that a JSON string stands for which was checked before it was stored; none when the text is no string.
  public func validatedString(_ text: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    JSONValue(raw: text, arena: arena).string() ?? UnsafeRawBufferPointer(start: nil, count: 0)
  }

  private func refusal(of line: UnsafeRawBufferPointer) -> Refusal {
    guard let base = line.baseAddress, line.count > 0 else {
      return Refusal(code: .badJSON, message: "not a request: the line is empty")
    }
    let fault = scanner.pointee.fault
    let position = UnsafeRawPointer(scanner.pointee.faultAt) - base + 1
    return Refusal(code: .badJSON, message: "not a request: \(fault.rawValue), at byte \(position) of the line")
  }

  /// The fields of the table that the request has.
  public var present: FieldSet {
    let words = fields.pointee.present
    return FieldSet(words[0], words[1], words[2], words[3])
  }

  /// Whether the request has the field.
  public func has(_ field: FieldName) -> Bool { fields.pointee.has(field.index) }

  /// The first key of the request that no operation knows, shortened for messages.
  public var unknownField: String? { fields.pointee.unknown.map(Self.shortened) }

  /// Refuses a request with a field that its operation does not take; `op` and `rid` always pass.
  ///
  /// - Throws: `bad_request` naming the first such field in the line, and what the operation takes.
  public func requireOnly(_ allowed: FieldSet, operation: @autoclosure () -> String) throws(Refusal) {
    let extra = present.subtracting(allowed).subtracting(Self.always)
    if extra.isEmpty, fields.pointee.unknown == nil { return }
    throw Self.notTaken(firstNotTaken(extra), allowed, operation())
  }

  // What every operation takes: `op` and `rid`, as a constant that needs no initialisation at run time.
  static var always: FieldSet { FieldSet(1 << UInt64(FieldName.op.index) | 1 << UInt64(FieldName.rid.index), 0, 0, 0) }

  private func firstNotTaken(_ extra: FieldSet) -> String {
    var first = fields.pointee.unknown.map(Self.shortened) ?? ""
    var firstAt = fields.pointee.unknownAt
    for field in extra.names where firstAt.map({ fields.pointee.slots[field.index].start < $0 }) ?? true {
      first = field.rawValue
      firstAt = fields.pointee.slots[field.index].start
    }
    return first
  }

  private static func notTaken(_ name: String, _ allowed: FieldSet, _ operation: String) -> Refusal {
    let names = allowed.subtracting(Self.always).names.map(\.rawValue)
    let takes = names.isEmpty ? "no fields" : names.joined(separator: ", ")
    return .badRequest("unknown field '\(name)'; '\(operation)' takes: \(takes)")
  }

  // A key from outside is as long as it likes to be; a message is not.
  private static func shortened(_ key: KeySpan) -> String {
    let shown = UnsafeBufferPointer(start: key.start, count: Swift.min(key.count, 64))
    return String(decoding: shown, as: UTF8.self) + (key.count > 64 ? "…" : "")
  }

  /// Keys compared while looking for duplicates in the last line: what the tests hold to be linear.
  var keyComparisons: Int { scanner.pointee.ledger.comparisons }
}
