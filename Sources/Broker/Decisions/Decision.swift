// A decision: what a journal record means. Each kind is one small type in one file of this folder.
//
// Holds: encoding, decoding and encoding again gives the same bytes. A file's table names every field of the payload with its
// offset and its type; a test holds the tables against the encoders.
// Leaves to others: the frame around the payload (`DecisionLog/Frame`), what a decision changes (`Broker+Apply` and the rooms).

import DecisionLog
import Primitives

/// What all kinds of decisions have in common.
///
/// A decision is a value, or a view of a record's bytes when it carries a message or a list. Such a view is good until the next
/// record is written; for that reason no `apply` writes records.
protocol Decision {
  /// The number of its kind in the journal.
  static var kind: DecisionKind { get }
  /// Bytes of the payload.
  var byteCount: Int { get }
  /// Writes exactly `byteCount` bytes.
  func encode(to payload: inout PayloadWriter)
  /// Reads what `encode` wrote. The payload has passed its checksum: one that is too short stops the server.
  init(decoding payload: UnsafeRawBufferPointer)
}

extension RecordBuffer {
  /// Writes a decision as one record and returns it as it reads from the bytes of that record, so that what is applied now is
  /// what a replay will apply.
  @inline(__always) @discardableResult
  func write<Kind: Decision>(_ decision: Kind) -> Kind {
    let byteCount = decision.byteCount
    var written: Kind?
    append(kind: Kind.kind.rawValue, payloadCapacity: byteCount) { payload in
      var writer = PayloadWriter(payload)
      decision.encode(to: &writer)
      precondition(writer.isFull, "a decision has as many bytes as it says")
      written = Kind(decoding: UnsafeRawBufferPointer(payload))
      return byteCount
    }
    return written!
  }
}
