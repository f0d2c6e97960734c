// The body of a message in requests and replies: `body`, a JSON value kept byte for byte, or `bodyBase64`, bytes.
//
// Leaves to others: how large a body may be (the broker).

import Primitives

/// A body of a request, byte for byte; good until the reader's next line.
public struct RequestBody {
  /// The JSON text, or the bytes.
  public let bytes: UnsafeRawBufferPointer
  /// Which of the two.
  public let encoding: BodyEncoding
}

extension RequestReader {
  /// The body of a message: any JSON value under `body`, or bytes under `bodyBase64`.
  ///
  /// - Throws: `bad_request` when there is neither or both, or when the bytes are not Base64.
  public func anyBody() throws(Refusal) -> RequestBody {
    if let bytes = try bytesBody() { return RequestBody(bytes: bytes, encoding: .bytes) }
    guard let body = raw(.body) else { throw .missing(.body) }
    return RequestBody(bytes: body, encoding: .json)
  }

  /// The body of a message that is bytes: those of a string under `body`, or those under `bodyBase64`.
  ///
  /// - Throws: `bad_request` when there is neither or both, when `body` is no string, or when the bytes are not Base64.
  public func textBody() throws(Refusal) -> RequestBody {
    if let bytes = try bytesBody() { return RequestBody(bytes: bytes, encoding: .bytes) }
    guard let body = try string(.body) else { throw .missing(.body) }
    return RequestBody(bytes: body, encoding: .text)
  }

  private func bytesBody() throws(Refusal) -> UnsafeRawBufferPointer? {
    guard has(.bodyBase64) else { return nil }
    if has(.body) { throw .badRequest("give either 'body' or 'bodyBase64'") }
    let text = try string(.bodyBase64)!
    let output = arena.take(Base64.decodedBytesMax(text.count))
    guard let count = Base64.decode(text, to: output) else {
      throw .invalid(.bodyBase64, mustBe: "Base64 of RFC 4648 with padding and without line breaks")
    }
    return UnsafeRawBufferPointer(start: output, count: count)
  }
}

extension ByteBuffer {
  /// Appends `,"body":…` or `,"bodyBase64":…`: the body as it was given.
  @inlinable public mutating func appendBodyField(of record: MessageRecord) {
    if record.bodyEncoding == .json {
      append(",\"body\":")
      append(record.body)
    } else {
      appendBytesBody(record.body, isText: record.bodyEncoding == .text)
    }
  }

  /// Appends the same for an operation of a front end, whose bodies are bytes: as the string `body` when they are UTF-8.
  public mutating func appendForeignBodyField(of record: MessageRecord) {
    appendForeignBodyField(record.body, record.bodyEncoding)
  }

  /// Appends the same for a body that stands in no record.
  public mutating func appendForeignBodyField(_ body: UnsafeRawBufferPointer, _ encoding: BodyEncoding) {
    if encoding == .json {
      append(",\"body\":")
      append(body)
    } else {
      appendBytesBody(body, isText: encoding == .text || isValidUTF8(body))
    }
  }

  @usableFromInline mutating func appendBytesBody(_ body: UnsafeRawBufferPointer, isText: Bool) {
    if isText {
      append(",\"body\":")
      appendJSONString(body)
    } else {
      append(",\"bodyBase64\":\"")
      appendBase64(body)
      append("\"")
    }
  }
}
