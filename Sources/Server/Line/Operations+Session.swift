// hello, ping.

import Broker
import LineProtocol
import Primitives

extension LineSession {
  func hello(_ request: Request) throws(RequestStop) {
    guard let version = try request.integer(.protocol) else { throw .refused(.missing(.protocol)) }
    guard version == 1 else {
      throw .refused(.badRequest("field 'protocol' is \(version); this server speaks version 1"))
    }
    _ = try request.string(.client)
    let token = try request.string(.token)
    if services.asksWho {
      guard let token, let found = services.identity(showing: token) else {
        throw .refused(Refusal(code: .unauthenticated, message: "the token is missing or not a good one"))
      }
      identity = found
    }
    beginReply(request)
    out.append(",\"server\":")
    out.appendJSONString(ServerVersion.text)
    out.append(",\"protocol\":1,\"tickMs\":")
    out.appendInteger(broker.settings.tickMs)
    out.append(",\"wheelSize\":")
    out.appendInteger(Int64(broker.settings.wheelSize))
    out.append(",\"maxLineBytes\":")
    out.appendInteger(Int64(settings.lineBytesMax))
    out.append(",\"maxDelayMs\":")
    out.appendInteger(broker.settings.maxDelayMs)
    out.append(",\"nowMs\":")
    out.appendInteger(broker.nowMs)
    out.endLine()
  }

  func ping(_ request: Request) {
    beginReply(request)
    out.append(",\"nowMs\":")
    out.appendInteger(broker.nowMs)
    out.endLine()
  }
}
