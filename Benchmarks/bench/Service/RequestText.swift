// Request lines as bytes.

import LineProtocol
import Primitives

/// Writes request lines; makes each part that never changes once.
struct RequestText {
  private let topic: [UInt8]
  private let body: [UInt8]

  /// Requests about `topic`, with bodies of `bodyBytes` bytes, the two quotes of a JSON string counted.
  init(topic: String, bodyBytes: Int) {
    self.topic = Array(topic.utf8)
    body = [34] + [UInt8](repeating: UInt8(ascii: "x"), count: max(0, bodyBytes - 2)) + [34]
  }

  enum Acks { case none, disk }

  /// `id` nil: the server makes one.
  func schedule(_ id: Int?, atMs: Int64, _ acks: Acks, to out: inout ByteBuffer) {
    out.append("{\"op\":\"schedule\",\"topic\":\"")
    topic.withUnsafeBytes { out.append($0) }
    out.append("\",\"deliverAtMs\":")
    out.appendInteger(atMs)
    finish(id, acks, to: &out)
  }

  func publish(_ acks: Acks, to out: inout ByteBuffer) {
    out.append("{\"op\":\"publish\",\"topic\":\"")
    topic.withUnsafeBytes { out.append($0) }
    out.append("\"")
    finish(nil, acks, to: &out)
  }

  func cancel(_ id: Int, to out: inout ByteBuffer) {
    out.append("{\"op\":\"cancel\",\"topic\":\"")
    topic.withUnsafeBytes { out.append($0) }
    out.append("\",\"id\":\"")
    out.appendInteger(Int64(id))
    out.append("\"}\n")
  }

  /// One request that schedules `count` messages for `atMs` and the milliseconds behind it.
  func scheduleMany(_ count: Int, fromMs: Int64, to out: inout ByteBuffer) {
    out.append("{\"op\":\"scheduleMany\",\"topic\":\"")
    topic.withUnsafeBytes { out.append($0) }
    out.append("\",\"messages\":[")
    for number in 0..<count {
      out.append(number == 0 ? "{\"deliverAtMs\":" : ",{\"deliverAtMs\":")
      out.appendInteger(fromMs + Int64(number))
      out.append(",\"body\":")
      body.withUnsafeBytes { out.append($0) }
      out.append("}")
    }
    out.append("]}\n")
  }

  private func finish(_ id: Int?, _ acks: Acks, to out: inout ByteBuffer) {
    if let id {
      out.append(",\"id\":\"")
      out.appendInteger(Int64(id))
      out.append("\"")
    }
    if acks == .none { out.append(",\"acks\":\"none\"") }
    out.append(",\"body\":")
    body.withUnsafeBytes { out.append($0) }
    out.append("}\n")
  }

  func subscribe(group: StaticString, credit: Int, to out: inout ByteBuffer) {
    out.append("{\"op\":\"subscribe\",\"topic\":\"")
    topic.withUnsafeBytes { out.append($0) }
    out.append("\",\"group\":\"")
    out.append(group)
    out.append("\",\"credit\":")
    out.appendInteger(Int64(credit))
    out.append("}\n")
  }

  static func ack(sub: Int, upTo offset: Int, to out: inout ByteBuffer) {
    out.append("{\"op\":\"ack\",\"acks\":\"none\",\"sub\":")
    out.appendInteger(Int64(sub))
    out.append(",\"upTo\":")
    out.appendInteger(Int64(offset))
    out.append("}\n")
  }
}
