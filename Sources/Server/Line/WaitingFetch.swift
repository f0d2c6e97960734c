// A fetch or `rabbitmq.get` that is not answered yet.

import Broker
import Primitives

struct WaitingFetch {
  /// As it stood on the line; empty for none.
  private let rid: [UInt8]
  /// The fetching side; nil for a `get`, which waits for nothing but the disk.
  let consumer: Consumer?

  init(rid: UnsafeRawBufferPointer?, consumer: Consumer?) {
    self.rid = rid.map { Array($0) } ?? []
    self.consumer = consumer
  }

  func withRid(_ body: (UnsafeRawBufferPointer?) -> Void) { rid.withUnsafeBytes { body($0.isEmpty ? nil : $0) } }
}
