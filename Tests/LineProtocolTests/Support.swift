// What the tests of this module share: a place for lines, short forms.

import Primitives

@testable import LineProtocol

/// A reader together with a copy of its line that ends exactly where the memory does, so that a sanitizer sees overreads.
final class ParsedLine {
  let reader = RequestReader()
  private let memory: UnsafeMutableRawBufferPointer

  init(_ bytes: [UInt8]) throws(Refusal) {
    memory = .allocate(byteCount: bytes.count, alignment: 1)
    memory.copyBytes(from: bytes)
    try reader.parse(UnsafeRawBufferPointer(memory))
  }

  convenience init(_ text: String) throws(Refusal) { try self.init(Array(text.utf8)) }

  deinit { memory.deallocate() }
}

/// The refusal of a line, or nil when it is accepted.
func refusal(of bytes: [UInt8]) -> Refusal? {
  do throws(Refusal) {
    _ = try ParsedLine(bytes)
    return nil
  } catch {
    return error
  }
}

func refusal(of text: String) -> Refusal? { refusal(of: Array(text.utf8)) }

/// The refusal that a read of fields ends in.
func refusal(of text: String, reading read: (RequestReader) throws(Refusal) -> Void) -> Refusal? {
  do throws(Refusal) {
    let line = try ParsedLine(text)
    try read(line.reader)
    return nil
  } catch {
    return error
  }
}

extension UnsafeRawBufferPointer {
  var text: String { String(decoding: self, as: UTF8.self) }
}

/// The content of a buffer as text.
func text(_ buffer: borrowing ByteBuffer) -> String { buffer.readable.text }
