// The responses of the two mechanisms by which clients log in.
//
// Leaves to others: whether name and password are right (the session).

/// A name and a password as a client gave them; good as long as the response.
public struct Credentials {
  /// The name.
  public let user: UnsafeRawBufferPointer
  /// The password.
  public let password: UnsafeRawBufferPointer

  /// Reads the response of `PLAIN`: a zero octet, the name, a zero octet, the password. An identity to act as, which SASL
  /// allows before the first zero octet, is refused, as RabbitMQ does.
  ///
  /// - Source: RFC 4616.
  /// - Throws: 502 when it is malformed.
  public init(plain response: UnsafeRawBufferPointer) throws(AMQPFault) {
    guard let first = response.first, first == 0, let second = response[1...].firstIndex(of: 0),
      !response[(second + 1)...].contains(0)
    else {
      throw AMQPFault(.syntaxError, "the response of mechanism PLAIN is malformed", method: .connectionStartOk)
    }
    user = UnsafeRawBufferPointer(rebasing: response[1..<second])
    password = UnsafeRawBufferPointer(rebasing: response[(second + 1)...])
  }

  /// Reads the response of `AMQPLAIN`: the fields of a table, without a length before it, with the strings `LOGIN` and
  /// `PASSWORD`.
  ///
  /// - Throws: 502 when it is malformed or lacks one of them.
  public init(amqplain response: UnsafeRawBufferPointer) throws(AMQPFault) {
    let table = FieldTable(response)
    guard table.isWellFormed, let user = table["LOGIN"]?.string, let password = table["PASSWORD"]?.string else {
      throw AMQPFault(.syntaxError, "the response of mechanism AMQPLAIN is malformed", method: .connectionStartOk)
    }
    self.user = user
    self.password = password
  }
}
