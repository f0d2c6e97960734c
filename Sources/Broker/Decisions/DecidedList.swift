// A list in a decision: an array while the decision is made, a view of the record's bytes once it is written.

import Primitives

/// An element of a list in a decision: as many bytes as all others of its kind.
protocol PayloadElement: BitwiseCopyable {
  /// Bytes of one element.
  static var byteCount: Int { get }
  /// Writes `byteCount` bytes.
  func encode(to payload: inout PayloadWriter)
  /// Reads what `encode` wrote.
  init(decoding reader: inout PayloadReader)
}

/// The list of a decision.
enum DecidedList<Element: PayloadElement> {
  /// Not written yet.
  case draft([Element])
  /// A view of the bytes of a journal record.
  case record(UnsafeRawBufferPointer)

  var count: Int {
    switch self {
    case .draft(let elements): elements.count
    case .record(let bytes): bytes.count / Element.byteCount
    }
  }

  var byteCount: Int { count * Element.byteCount }

  func encode(to payload: inout PayloadWriter) {
    switch self {
    case .draft(let elements): for element in elements { element.encode(to: &payload) }
    case .record(let bytes): payload.write(bytes)
    }
  }

  /// A view of the next `count` elements.
  init(decoding reader: inout PayloadReader, count: Int) {
    self = .record(reader.read(bytes: count * Element.byteCount))
  }

  /// A view of all elements up to the end.
  init(decodingRest reader: inout PayloadReader) {
    self.init(decoding: &reader, count: reader.rest.count / Element.byteCount)
  }

  @inline(__always) func forEach(_ body: (Element) -> Void) {
    switch self {
    case .draft(let elements): for element in elements { body(element) }
    case .record(let bytes):
      var reader = PayloadReader(bytes)
      while !reader.isEmpty { body(Element(decoding: &reader)) }
    }
  }
}

/// Offsets that follow each other.
struct OffsetRun: PayloadElement {
  var start: TopicOffset
  var count: UInt32

  static let byteCount = 12
  /// Runs in one record: 768 KiB of them.
  static let recordMax = 1 << 16

  var offsets: Range<TopicOffset> { start..<start + UInt64(count) }

  init(_ offset: TopicOffset) {
    start = offset
    count = 1
  }

  func encode(to payload: inout PayloadWriter) {
    payload.write(start)
    payload.write(count)
  }

  init(decoding reader: inout PayloadReader) {
    start = reader.read(UInt64.self)
    count = reader.read(UInt32.self)
  }
}

extension [OffsetRun] {
  /// Adds an offset: to the last run if it follows it. O(1).
  mutating func add(_ offset: TopicOffset) {
    if let last = indices.last, self[last].count < .max, self[last].offsets.upperBound == offset {
      self[last].count += 1
    } else {
      append(OffsetRun(offset))
    }
  }

  /// Calls `body` with all runs, as many at a time as one record holds.
  func forEachRecord(_ body: (DecidedList<OffsetRun>) -> Void) {
    if count <= OffsetRun.recordMax {
      if !isEmpty { body(.draft(self)) }
      return
    }
    for first in stride(from: 0, to: count, by: OffsetRun.recordMax) {
      body(.draft(Array(self[first..<Swift.min(first + OffsetRun.recordMax, count)])))
    }
  }
}
