// A letter in a decision: a message and the queues that it goes to.
//
//    0  u32      n
//    4  list     n times: u32 topic of the queue; i64 when the message's time to live ends there, Int64.max for never; of a
//                relay: when it is passed on
//       message  the message; its sequence, its due time and its topic are 0

import Primitives

/// A queue that a letter goes to.
struct LetterTarget: PayloadElement {
  let topic: UInt32
  let expiresAtMs: UnixMs

  static let byteCount = 12
  /// Stands for a message without a time to live.
  static let never = UnixMs.max
  /// The expiry timers of one record share ten bits of its sequence.
  static let recordMax = ScheduleBatch.messagesMax

  init(topic: UInt32, expiresAtMs: UnixMs) {
    self.topic = topic
    self.expiresAtMs = expiresAtMs
  }

  func encode(to payload: inout PayloadWriter) {
    payload.write(topic)
    payload.write(expiresAtMs)
  }

  init(decoding reader: inout PayloadReader) {
    topic = reader.read(UInt32.self)
    expiresAtMs = reader.read(Int64.self)
  }
}

/// A message and the queues that it goes to.
struct DecidedLetter {
  let targets: DecidedList<LetterTarget>
  let message: DecidedMessage

  var byteCount: Int { 4 + targets.byteCount + message.length }

  func encode(to payload: inout PayloadWriter) {
    payload.write(UInt32(targets.count))
    targets.encode(to: &payload)
    payload.write(message)
  }
}

extension DecidedLetter {
  init(decoding reader: inout PayloadReader) {
    targets = DecidedList(decoding: &reader, count: Int(reader.read(UInt32.self)))
    message = reader.readMessage()
  }
}
