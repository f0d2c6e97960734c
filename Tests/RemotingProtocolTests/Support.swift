// What the tests of this module share: frames made and read in one call, bytes as text, the captured session.

import Foundation
import LineProtocol
import Primitives

@testable import RemotingProtocol

extension UnsafeRawBufferPointer {
  var text: String { String(decoding: self, as: UTF8.self) }
}

/// What a piece of writing leaves in a buffer.
func bytes<Failure: Error>(_ write: (inout ByteBuffer) throws(Failure) -> Void) throws(Failure) -> [UInt8] {
  var buffer = ByteBuffer()
  try write(&buffer)
  return Array(buffer.readable)
}

/// Bytes of numbers, big-endian, and of texts.
func layout(_ parts: Any...) -> [UInt8] {
  parts.flatMap { part -> [UInt8] in
    switch part {
    case let text as String: Array(text.utf8)
    case let bytes as [UInt8]: bytes
    case let number as UInt8: [number]
    case let number as Int16: withUnsafeBytes(of: number.bigEndian, Array.init)
    case let number as Int32: withUnsafeBytes(of: number.bigEndian, Array.init)
    case let number as UInt32: withUnsafeBytes(of: number.bigEndian, Array.init)
    case let number as Int64: withUnsafeBytes(of: number.bigEndian, Array.init)
    default: preconditionFailure("a layout is made of texts and numbers of a given width")
    }
  }
}

/// A frame of a header and a body.
func frame(_ header: [UInt8], body: [UInt8] = [], type: UInt8 = 0) -> [UInt8] {
  layout(Int32(4 + header.count + body.count), UInt32(type) << 24 | UInt32(header.count), header, body)
}

/// One frame that was read, together with the memory behind its views. It lives on, so that a test may keep any view.
final class ReadFrame {
  private var reader = RemotingFrameReader()
  private let headerReader = RemotingHeaderReader()
  private(set) var header: RemotingHeader!
  private(set) var body: UnsafeRawBufferPointer = .empty

  /// - Precondition: the bytes are at least one whole frame.
  init(_ bytes: [UInt8]) throws(RemotingError) {
    bytes.withBytes { reader.append($0) }
    guard let frame = try reader.next() else { preconditionFailure("a test gives a whole frame") }
    body = frame.body
    header = try headerReader.read(frame)
    Self.keep(self)
  }

  private static let lock = NSLock()
  private nonisolated(unsafe) static var kept: [ReadFrame] = []

  private static func keep(_ frame: ReadFrame) { lock.withLock { kept.append(frame) } }

  convenience init(json: String, body: [UInt8] = []) throws(RemotingError) {
    try self.init(RemotingProtocolTests.frame(Array(json.utf8), body: body))
  }

  var texts: [String: String] {
    Dictionary(header.fields.map { ($0.name.text, $0.value.text) }, uniquingKeysWith: { first, _ in first })
  }
}

/// The error that a call ends in; nil when it ends well.
func failure(_ body: () throws(RemotingError) -> Void) -> RemotingError? {
  do throws(RemotingError) {
    try body()
    return nil
  } catch {
    return error
  }
}

/// The session in `Fixtures/cpp-client-session.txt`.
struct CapturedSession {
  struct Frame {
    let line: Int
    let connection: Int
    let isFromClient: Bool
    let bytes: [UInt8]
  }

  static let frames: [Frame] = {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/cpp-client-session.txt")
    let text = try! String(contentsOf: file, encoding: .utf8)
    return text.split(separator: "\n", omittingEmptySubsequences: false).enumerated().compactMap { index, line in
      let words = line.split(separator: " ")
      guard words.count == 3, let connection = Int(words[0]) else { return nil }
      return Frame(
        line: index + 1, connection: connection, isFromClient: words[1] == ">", bytes: bytes(ofHex: words[2]))
    }
  }()

  static func requests(_ code: RequestCode) -> [[UInt8]] {
    frames.filter { frame in
      guard frame.isFromClient, let read = try? ReadFrame(frame.bytes) else { return false }
      return read.header.request == code
    }.map(\.bytes)
  }

  /// The requests of a code with their responses.
  static func exchanges(_ code: RequestCode) -> [(request: [UInt8], response: [UInt8])] {
    requests(code).compactMap { request in
      let asked = try! ReadFrame(request)
      let answer = frames.first { frame in
        guard !frame.isFromClient, let read = try? ReadFrame(frame.bytes) else { return false }
        return read.header.isResponse && read.header.opaque == asked.header.opaque
      }
      return answer.map { (request, $0.bytes) }
    }
  }

  private static func bytes(ofHex text: Substring) -> [UInt8] {
    let digits = Array(text.utf8).map { UInt8(Character(UnicodeScalar($0)).hexDigitValue!) }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }
}
