// A message ended in a queue, and the letters that it became were put into their queues. Or a message was published, and full
// queues sent it on to their dead-letter exchanges.
//
//    0  u32   group of the queue where it ended; 0xFFFFFFFF: it was published
//    4  u64   offset there; 0: it was published
//   12  i64   time
//   20  u32   n
//   24  list  n letters, as in `DecidedLetter`

import Primitives

/// The decision to dead-letter a message.
struct DeadLettered: Decision {
  static let kind = DecisionKind.deadLettered
  let source: MessageSource?
  let atMs: UnixMs
  let letters: Letters

  /// The letters: an array while the decision is made, a view of the record's bytes once it is written.
  enum Letters {
    case draft([DecidedLetter])
    case record(count: Int, PayloadReader)

    var count: Int {
      switch self {
      case .draft(let letters): letters.count
      case .record(let count, _): count
      }
    }

    func forEach(_ body: (DecidedLetter) -> Void) {
      switch self {
      case .draft(let letters): for letter in letters { body(letter) }
      case .record(let count, var reader): for _ in 0..<count { body(DecidedLetter(decoding: &reader)) }
      }
    }
  }

  var byteCount: Int {
    var bytes = 24
    letters.forEach { bytes += $0.byteCount }
    return bytes
  }

  func encode(to payload: inout PayloadWriter) {
    MessageSource.encode(source, to: &payload)
    payload.write(atMs)
    payload.write(UInt32(letters.count))
    letters.forEach { $0.encode(to: &payload) }
  }
}

extension DeadLettered {
  init(decoding payload: UnsafeRawBufferPointer) {
    var reader = PayloadReader(payload)
    source = MessageSource(decoding: &reader)
    atMs = reader.read(Int64.self)
    letters = .record(count: Int(reader.read(UInt32.self)), reader)
  }
}
