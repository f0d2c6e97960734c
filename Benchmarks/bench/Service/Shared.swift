// A value that several threads of the benchmark change.

import Synchronization

final class Shared<Value: Sendable>: Sendable {
  private let held: Mutex<Value>

  init(_ value: Value) { held = Mutex(value) }

  var value: Value { held.withLock { $0 } }
  func change(_ body: (inout Value) -> Void) { held.withLock { body(&$0) } }
}
