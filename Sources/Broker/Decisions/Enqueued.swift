// A message was put into queues and, in records of earlier versions, ended in the queue where it came from.
//
//    0  u32     group of the queue where it came from; 0xFFFFFFFF for none
//    4  u64     offset there
//   12  i64     time
//   20  letter  the message and its queues, as in `DecidedLetter`

import Primitives

/// The decision to put one message into queues.
struct Enqueued: Decision {
  static let kind = DecisionKind.enqueued
  let source: MessageSource?
  let atMs: UnixMs
  let letter: DecidedLetter

  var byteCount: Int { 20 + letter.byteCount }

  func encode(to payload: inout PayloadWriter) {
    MessageSource.encode(source, to: &payload)
    payload.write(atMs)
    letter.encode(to: &payload)
  }
}

extension Enqueued {
  init(decoding payload: UnsafeRawBufferPointer) {
    var reader = PayloadReader(payload)
    source = MessageSource(decoding: &reader)
    atMs = reader.read(Int64.self)
    letter = DecidedLetter(decoding: &reader)
  }
}

/// Where a letter comes from: a message of a queue, which ends there.
///
///    0  u32  group; 0xFFFFFFFF for none
///    4  u64  offset; 0 for none
struct MessageSource {
  let group: UInt32
  let offset: TopicOffset

  private static let noGroup = UInt32.max

  init(group: UInt32, offset: TopicOffset) {
    self.group = group
    self.offset = offset
  }

  static func encode(_ source: MessageSource?, to payload: inout PayloadWriter) {
    payload.write(source?.group ?? noGroup)
    payload.write(source?.offset ?? 0)
  }

  /// nil for none.
  init?(decoding reader: inout PayloadReader) {
    group = reader.read(UInt32.self)
    offset = reader.read(UInt64.self)
    if group == Self.noGroup { return nil }
  }
}
