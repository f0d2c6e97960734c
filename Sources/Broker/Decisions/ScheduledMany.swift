// The messages of a batch were accepted to be released later: all of them, or none.
//
// As often as there are messages:
//    0  i64      earliest release: the due time, or later when that was past already
//    8  message  a message; its sequence is that of this record and the position in the batch

import Primitives

/// The decision to accept a batch of messages. A view of their bytes.
struct ScheduledMany: Decision {
  static let kind = DecisionKind.scheduledMany
  let bytes: UnsafeRawBufferPointer

  var byteCount: Int { bytes.count }

  func encode(to payload: inout PayloadWriter) { payload.write(bytes) }
}

extension ScheduledMany {
  init(decoding payload: UnsafeRawBufferPointer) { bytes = payload }

  /// Calls `body` for each message, in their order.
  func forEach(_ body: (Scheduled) -> Void) {
    var rest = bytes
    while rest.count > MessageRecord.headerLength {
      let scheduled = Scheduled(decoding: rest)
      body(scheduled)
      rest = UnsafeRawBufferPointer(rebasing: rest[scheduled.byteCount...])
    }
  }
}
