// hello, ping. A node of a cluster answers them by itself, with the same words.

import Access
import Broker
import LineProtocol
import Primitives

/// Answers that need no broker.
package enum Answers {
  /// Who says `hello` with this request; nil when nobody is asked.
  ///
  /// - Throws: for another version, and `unauthenticated` when the token is not good.
  package static func identity(of reader: RequestReader, _ admission: Admission) throws(Refusal) -> Identity? {
    guard let version = try reader.integer(.protocol) else { throw .missing(.protocol) }
    guard version == 1 else {
      throw .badRequest("field 'protocol' is \(version); this server speaks version 1")
    }
    _ = try reader.string(.client)
    let token = try reader.string(.token)
    guard admission.asksWho else { return nil }
    guard let token, let found = admission.identity(showing: token) else {
      throw Refusal(code: .unauthenticated, message: "the token is missing or not a good one")
    }
    return found
  }

  /// The answer to `hello`.
  package static func hello(
    _ settings: ServerSettings, nowMs: UnixMs, rid: UnsafeRawBufferPointer?, to out: inout ByteBuffer
  ) {
    let broker = settings.engine.broker
    out.beginReply(rid: rid)
    out.append(",\"server\":")
    out.appendJSONString(ServerVersion.text)
    out.append(",\"protocol\":1,\"tickMs\":")
    out.appendInteger(broker.tickMs)
    out.append(",\"wheelSize\":")
    out.appendInteger(Int64(broker.wheelSize))
    out.append(",\"maxLineBytes\":")
    out.appendInteger(Int64(settings.lineBytesMax))
    out.append(",\"maxDelayMs\":")
    out.appendInteger(broker.maxDelayMs)
    endWithTime(nowMs, to: &out)
  }

  /// The answer to `ping`.
  package static func ping(nowMs: UnixMs, rid: UnsafeRawBufferPointer?, to out: inout ByteBuffer) {
    out.beginReply(rid: rid)
    endWithTime(nowMs, to: &out)
  }

  private static func endWithTime(_ nowMs: UnixMs, to out: inout ByteBuffer) {
    out.append(",\"nowMs\":")
    out.appendInteger(nowMs)
    out.endLine()
  }
}

extension LineSession {
  func hello(_ request: Request) throws(RequestStop) {
    let found = try request.check { () throws(Refusal) in
      try Answers.identity(of: request.reader, services.admission)
    }
    if let found { identity = found }
    registerReply(rid: request.rid)
    Answers.hello(settings, nowMs: broker.nowMs, rid: request.rid, to: &out)
  }

  func ping(_ request: Request) {
    registerReply(rid: request.rid)
    Answers.ping(nowMs: broker.nowMs, rid: request.rid, to: &out)
  }
}
