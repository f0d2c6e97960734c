// hello, ping.

import Broker
import LineProtocol
import Primitives

extension Server {
  func hello(_ request: Request) throws(RequestStop) {
    guard let version = try request.integer(.protocol) else { throw .refused(.missing(.protocol)) }
    guard version == 1 else {
      throw .refused(.badRequest("field 'protocol' is \(version); this server speaks version 1"))
    }
    _ = try request.string(.client)
    let token = try request.string(.token)
    if !settings.tokens.isEmpty {
      guard let token, settings.tokens.contains(where: { Self.isEqual($0, token) }) else {
        throw .refused(Refusal(code: .unauthenticated, message: "the token is missing or not a good one"))
      }
      request.connection.isAuthenticated = true
    }
    let connection = request.connection
    connection.out.beginReply(rid: request.rid)
    connection.out.append(",\"server\":")
    connection.out.appendJSONString(ServerVersion.text)
    connection.out.append(",\"protocol\":1,\"tickMs\":")
    connection.out.appendInteger(broker.settings.tickMs)
    connection.out.append(",\"wheelSize\":")
    connection.out.appendInteger(Int64(broker.settings.wheelSize))
    connection.out.append(",\"maxLineBytes\":")
    connection.out.appendInteger(Int64(settings.lineBytesMax))
    connection.out.append(",\"maxDelayMs\":")
    connection.out.appendInteger(broker.settings.maxDelayMs)
    connection.out.append(",\"nowMs\":")
    connection.out.appendInteger(broker.nowMs)
    connection.out.endLine()
  }

  /// Compares without telling by time how much was right.
  private static func isEqual(_ token: String, _ given: UnsafeRawBufferPointer) -> Bool {
    var difference = token.utf8.count ^ given.count
    for (left, right) in zip(token.utf8, given) { difference |= Int(left ^ right) }
    return difference == 0
  }

  func ping(_ request: Request) {
    let connection = request.connection
    connection.out.beginReply(rid: request.rid)
    connection.out.append(",\"nowMs\":")
    connection.out.appendInteger(broker.nowMs)
    connection.out.endLine()
  }
}
