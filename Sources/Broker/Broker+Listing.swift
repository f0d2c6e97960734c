// Listing what is pending in a topic, in due order: first what is in memory, then slice by slice from disk.
//
// Holds: a page is in (due, sequence) order and goes on just behind the page before; a message that is moved or cancelled
// while a listing runs may be in it or not.

import DelayStore
import Primitives

/// A listing that reads slices.
final class Listing {
  let command: (topic: UInt32, dueMs: ClosedRange<UnixMs>, limit: Int)
  let after: (dueMs: UnixMs, sequence: Sequence)
  var slices: [UInt32] = []
  var found: [SliceListEntry] = []
  var isRunning = true

  init(topic: UInt32, _ command: ListCommand) {
    self.command = (topic, command.dueMs, command.limit)
    after = command.after ?? (.min, 0)
  }
}

extension Broker {
  /// One page of the pending messages of a topic. O(messages in memory) and, when those do not fill the page, one reading of
  /// each slice that does.
  ///
  /// - Throws: `waitForDisk` while slices are read.
  public func list(_ command: ListCommand) throws(BrokerStop) -> Answer<ListPage> {
    try requireWorking()
    let topic = try existingTopic(command.topic)
    if let listing = listings[command.connection] {
      guard !listing.isRunning else { throw .waitForDisk }
      listings[command.connection] = nil
      return answer(page(topic, command, onDisk: listing.found.filter(isStillThere)))
    }
    let near = page(topic, command, onDisk: [])
    if near.hasMore || store.onDiskCount == 0 { return answer(near) }
    let listing = Listing(topic: topic.number, command)
    let fromMs = max(command.dueMs.lowerBound, listing.after.dueMs)
    listing.slices = store.slicesOnDisk(fromMs: fromMs).filter { $0.startMs <= command.dueMs.upperBound }.map(\.number)
    listings[command.connection] = listing
    readNextSlice(listing, command.connection)
    throw .waitForDisk
  }

  private func readNextSlice(_ listing: Listing, _ connection: UInt64) {
    // Whoever asked is gone.
    guard listings[connection] === listing else { return }
    guard let slice = listing.slices.first, listing.found.count <= listing.command.limit else {
      listing.isRunning = false
      effects.append(.notice(.retry(connection: connection)))
      return
    }
    listing.slices.removeFirst()
    guard store.isOnDisk(slice: slice) else { return readNextSlice(listing, connection) }
    let request = SliceListRequest(
      topic: listing.command.topic, dueMs: listing.command.dueMs, afterDueMs: listing.after.dueMs,
      afterSequence: listing.after.sequence, limit: listing.command.limit + 1)
    store.list(slice: slice, request) { [unowned self] entries in
      listing.found += entries
      readNextSlice(listing, connection)
    }
  }

  private func isStillThere(_ entry: SliceListEntry) -> Bool {
    if case .disk(_, let position)? = place(of: entry.hash) { return position == entry.position }
    return false
  }

  /// The first messages of memory and disk together.
  private func page(_ topic: Topic, _ command: ListCommand, onDisk: [SliceListEntry]) -> ListPage {
    let after = command.after ?? (.min, 0)
    var messages = onDisk.map { ListedMessage(bytes: $0.bytes, dueMs: $0.dueMs, sequence: $0.sequence) }
    var near: [(dueMs: UnixMs, sequence: Sequence, slot: UInt32)] = []
    bookLeft()
    slab.forEach { slot, message in
      guard message.pointee.topic == topic.number else { return }
      let dueMs = MessageRecord(message.pointee.record!).dueMs
      let key = (dueMs, message.pointee.sequence)
      if command.dueMs.contains(dueMs), key > after { near.append((key.0, key.1, slot)) }
    }
    near.sort { ($0.dueMs, $0.sequence) < ($1.dueMs, $1.sequence) }
    for one in near.prefix(command.limit + 1) {
      let record = MessageRecord(slab[one.slot].pointee.record!)
      let shown = UnsafeRawPointer(record.base).distance(to: record.body.baseAddress!)
      messages.append(
        ListedMessage(bytes: Array(record.bytes.prefix(shown)), dueMs: one.dueMs, sequence: one.sequence))
    }
    messages.sort { ($0.dueMs, $0.sequence) < ($1.dueMs, $1.sequence) }
    return ListPage(messages: Array(messages.prefix(command.limit)), hasMore: messages.count > command.limit)
  }
}
