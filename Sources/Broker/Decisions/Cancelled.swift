// A pending message was cancelled.
//
//    0  u64 u64  hash of topic and id
//   16  u32      topic
//   20  i64      time of the cancel

import Primitives

/// The decision to cancel a pending message.
struct Cancelled: Decision {
  static let kind = DecisionKind.cancelled
  let hash: IDHash
  let topic: UInt32
  let atMs: UnixMs

  var byteCount: Int { 28 }

  func encode(to payload: inout PayloadWriter) {
    payload.write(hash.low)
    payload.write(hash.high)
    payload.write(topic)
    payload.write(atMs)
  }
}

extension Cancelled {
  init(decoding payload: UnsafeRawBufferPointer) {
    var reader = PayloadReader(payload)
    hash = IDHash(low: reader.read(UInt64.self), high: reader.read(UInt64.self))
    topic = reader.read(UInt32.self)
    atMs = reader.read(Int64.self)
  }
}
