// Which messages of a channel are confirmed: those up to a number, and single ones behind it.

import Primitives

struct AMQPConfirmed {
  private var upTo: UInt64 = 0
  private var beyond: Set<UInt64> = []

  /// Takes the confirms that were received; gives how many messages they are new for.
  mutating func take(from wire: AMQPWire) -> Int {
    var count = 0
    wire.takeFrames { kind, payload in
      guard kind == 1, payload.count >= 13, AMQPWire.short(payload, 0) == 60, AMQPWire.short(payload, 2) == 80 else {
        fail("the broker does not confirm")
      }
      count += note(AMQPWire.long(payload, 4), isMultiple: payload[12] & 1 == 1)
    }
    return count
  }

  private mutating func note(_ tag: UInt64, isMultiple: Bool) -> Int {
    var count = 0
    if isMultiple, beyond.isEmpty, tag > upTo {
      count = Int(tag - upTo)
      upTo = tag
    } else if isMultiple {
      while upTo < tag { advance(&count) }
    } else if tag > upTo, beyond.insert(tag).inserted {
      count = 1
    }
    while beyond.remove(upTo + 1) != nil { upTo += 1 }
    return count
  }

  private mutating func advance(_ count: inout Int) {
    upTo += 1
    if beyond.remove(upTo) == nil { count += 1 }
  }
}
