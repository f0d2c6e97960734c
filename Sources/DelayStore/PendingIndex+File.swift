// The entries of the index as they stand in its file: as in memory, shard by shard and in order.
//
// Leaves to others: blocks, checksums, and which slice is meant (IndexFile).

import Primitives

extension PendingIndex {
  /// Bytes of an entry in the file.
  static let entryBytes = Entry.bytes
  static let shardCount = 1 << shardBits

  /// Appends the entries of a shard to `bytes` whose messages lie on disk, in order, with another number for each slice; gives
  /// how many.
  ///
  /// - Parameter numbers: the other number by the number of the slice; nil for slices whose messages are left out.
  func write(shard: Int, to bytes: UnsafeMutableRawPointer, numbers: [UInt32?]) -> Int {
    var end = bytes
    for number in 0..<shards[shard].slotCount {
      let slot = shards[shard].slot(number)
      guard Entry.place(slot) != 0, case .disk(let slice, let position) = MessagePlace(packed: Entry.place(slot) - 1),
        let other = numbers[Int(slice)]
      else { continue }
      Entry.copy(slot, to: end)
      let place = MessagePlace.disk(slice: other, position: position).packed + 1
      end.storeBytes(of: place, toByteOffset: Entry.placeOffset, as: UInt64.self)
      end += Entry.bytes
    }
    return (end - bytes) / Entry.bytes
  }

  /// Entries of a shard, those in memory included.
  func count(ofShard shard: Int) -> Int { Int(shards[shard].count) }

  /// Puts entries that `write` gave into an empty shard, one behind the other: 3 ns an entry. False, with nothing in it, when they are
  /// not in order, two are of one message, or a place is not on disk.
  ///
  /// - Parameter took: is called with each place.
  func load(
    shard number: Int, from entries: UnsafeRawBufferPointer, took: (_ slice: UInt32, _ position: Int) -> Bool
  ) -> Bool {
    let count = entries.count / Entry.bytes
    guard (0..<Self.shardCount).contains(number), shards[number].count == 0 else { return false }
    var last: (low: UInt64, high: UInt32)?
    for start in stride(from: 0, to: count * Entry.bytes, by: Entry.bytes) {
      let entry = entries.baseAddress! + start
      let key = (low: Entry.low(entry), high: Entry.high(entry))
      if let last, key.low < last.low || key == last { return false }
      guard Entry.place(entry) != 0,
        case .disk(let slice, let position) = MessagePlace(packed: Entry.place(entry) - 1), took(slice, position)
      else { return false }
      last = key
    }
    fill(shards + number, with: UnsafeRawBufferPointer(rebasing: entries[..<(count * Entry.bytes)]))
    return true
  }
}
