// The body of a message on its way out: JSON text that is known to be good before it shares a connection with others, or bytes.
//
// Holds: valid UTF-8 JSON, at most 31 deep, without raw newlines. The server closes a connection
// that brings bad JSON, which would hurt every other request on it; hence the check here.
// Leaves to others: size limits (the line is measured when it is sent).

import Foundation

/// A message's body: any JSON value, kept byte for byte, or bytes.
public struct MessageBody: Sendable, Equatable {
  /// The name of the field that carries it.
  let field: String
  /// The value of that field, JSON text.
  let value: [UInt8]

  private init(json value: [UInt8]) {
    field = "body"
    self.value = value
  }

  private init(bytes: Data) {
    field = "bodyBase64"
    value = Array("\"\(bytes.base64EncodedString())\"".utf8)
  }

  /// Bytes that are no JSON text. A consumer finds them in `Delivery.body`, with `Delivery.isJSON` false.
  public static func bytes(_ bytes: Data) -> MessageBody { MessageBody(bytes: bytes) }

  /// JSON text as it is. Line breaks between tokens become blanks, since a line carries one request.
  ///
  /// - Throws: `invalidRequest` when it is not JSON or is nested deeper than 31.
  public static func json(_ text: Data) throws(EscapementError) -> MessageBody {
    var bytes = [UInt8](text)
    guard String(validating: bytes, as: UTF8.self) != nil else { throw .invalidRequest("the body is not valid UTF-8") }
    var scanner = JSONScanner(bytes, in: 0..<bytes.count, depthMax: 31)
    do throws(JSONFault) {
      let value = try scanner.skipValue()
      scanner.skipBlanks()
      guard scanner.position == bytes.count else { throw scanner.fault("text after the value") }
      bytes = Array(bytes[value])
    } catch {
      throw .invalidRequest("the body is not JSON: \(error.reason), at byte \(error.offset)")
    }
    // Valid JSON has raw line breaks between tokens only, so this changes no value.
    for index in bytes.indices where bytes[index] == 0x0A || bytes[index] == 0x0D { bytes[index] = 0x20 }
    return MessageBody(json: bytes)
  }

  /// JSON text as it is.
  ///
  /// - Throws: as `json(_: Data)`.
  public static func json(_ text: String) throws(EscapementError) -> MessageBody { try json(Data(text.utf8)) }

  /// A JSON string.
  public static func text(_ text: String) -> MessageBody { MessageBody(json: JSONText.quoted(text)) }

  /// A value, encoded with `encoder`.
  ///
  /// - Throws: `invalidRequest` when it cannot be encoded, or as `json(_:)`.
  public static func value(
    _ value: some Encodable, encoder: JSONEncoder = JSONEncoder()
  ) throws(EscapementError) -> MessageBody {
    let encoded: Data
    do { encoded = try encoder.encode(value) } catch { throw .invalidRequest("the body cannot be encoded: \(error)") }
    return try json(encoded)
  }

  /// `null`.
  public static let null = MessageBody(json: Array("null".utf8))
}
