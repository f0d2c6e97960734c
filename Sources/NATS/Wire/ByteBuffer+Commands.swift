// Writes what a client sends.
//
// Holds: subjects and the inbox are checked before they come here (`Subject`), so that no line can be broken up.
// Leaves to others: when to send (Link).

import LineProtocol
import Primitives

/// The one header that a request may carry.
public struct NATSHeader {
  let name: StaticString
  let value: UInt64

  /// A header whose value is a whole number.
  public init(_ name: StaticString, _ value: UInt64) {
    self.name = name
    self.value = value
  }
}

extension ByteBuffer {
  mutating func appendPing() { append("PING\r\n") }
  mutating func appendPong() { append("PONG\r\n") }

  mutating func appendSubscribe(_ subject: String, _ number: UInt64) {
    append("SUB ")
    append(text: subject)
    append(byte: UInt8(ascii: " "))
    appendInteger(number)
    append("\r\n")
  }

  /// `PUB`, or `HPUB` with a header, with `inbox` and `call` as the subject of the reply.
  mutating func appendPublish(
    _ subject: String, inbox: String, call: UInt64, _ header: NATSHeader?, _ payload: UnsafeRawBufferPointer
  ) {
    reserve(payload.count + 256)
    if header == nil { append("PUB ") } else { append("HPUB ") }
    append(text: subject)
    append(byte: UInt8(ascii: " "))
    append(text: inbox)
    appendInteger(call)
    append(byte: UInt8(ascii: " "))
    if let header {
      // "NATS/1.0" and three ends of lines, colon and space, and the number.
      let headerBytes = 8 + 6 + 2 + header.name.utf8CodeUnitCount + Self.digits(header.value)
      appendInteger(UInt64(headerBytes))
      append(byte: UInt8(ascii: " "))
      appendInteger(UInt64(headerBytes + payload.count))
      append("\r\nNATS/1.0\r\n")
      append(header.name.bytes)
      append(": ")
      appendInteger(header.value)
      append("\r\n\r\n")
    } else {
      appendInteger(UInt64(payload.count))
      append("\r\n")
    }
    append(payload)
    append("\r\n")
  }

  /// `CONNECT`. `echo` is off for what this client publishes itself; what a server republishes comes all the same.
  mutating func appendConnect(name: String, _ credentials: NATSCredentials) {
    append(#"CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"protocol":1,"echo":false,"#)
    append(#""lang":"swift","version":"1","name":"#)
    appendJSONString(name)
    switch credentials {
    case .none: break
    case .password(let user, let password):
      append(#","user":"#)
      appendJSONString(user)
      append(#","pass":"#)
      appendJSONString(password)
    case .token(let token):
      append(#","auth_token":"#)
      appendJSONString(token)
    }
    append("}\r\n")
  }

  private static func digits(_ value: UInt64) -> Int {
    var (count, rest) = (1, value)
    while rest >= 10 {
      rest /= 10
      count += 1
    }
    return count
  }
}
