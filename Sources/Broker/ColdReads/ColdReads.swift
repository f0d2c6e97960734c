// What was read from disk for commands: a command that needs a read is refused with `waitForDisk`, and its connection gives
// it again when the notice `retry` says that the data is in memory.
//
// Holds: what was read for a connection is kept until its command is through (`forget`). Nothing of this outlives the process.
// Leaves to others: what is pending where (Pending).

import DelayStore
import Primitives

/// Messages and listings read from disk for connections that wait.
final class ColdReads {
  private let turn: Turn
  private let pending: Pending
  @exclusivity(unchecked) private var records: [UInt64: [ColdRecord]] = [:]
  @exclusivity(unchecked) private var listings: [UInt64: Listing] = [:]

  init(_ turn: Turn, _ pending: Pending) {
    self.turn = turn
    self.pending = pending
  }

  /// Drops what was read for a connection: its command is through.
  @inline(__always) func forget(_ connection: UInt64) {
    if !records.isEmpty { records[connection] = nil }
    if !listings.isEmpty { listings[connection] = nil }
  }

  /// The record of a pending message. Good until the message goes or the command is through.
  ///
  /// - Throws: `waitForDisk` when it must be read first.
  func record(at place: MessagePlace, _ connection: UInt64) throws(BrokerStop) -> MessageRecord {
    guard case .disk(let slice, let position) = place else {
      guard let record = pending.record(at: place) else { preconditionFailure("the index names a free slot") }
      return record
    }
    if let cold = records[connection]?.first(where: { $0.place == place }) { return cold.record }
    let atOnce = pending.read(slice: slice, position: position) { [unowned self] cold in
      if let cold { records[connection, default: []].append(cold) }
      turn.notify(.retry(connection: connection))
    }
    guard let atOnce else { throw .waitForDisk }
    records[connection, default: []].append(atOnce)
    return atOnce.record
  }

  // MARK: Listings

  /// One page of the pending messages of a topic, in due order: first what is in memory, then slice by slice from disk.
  ///
  /// A page goes on just behind the page before; a message that is moved or cancelled while a listing runs may be in it or not.
  ///
  /// - Throws: `waitForDisk` while slices are read.
  func list(_ topic: UInt32, _ command: ListCommand) throws(BrokerStop) -> ListPage {
    if let listing = listings[command.connection] {
      guard !listing.isRunning else { throw .waitForDisk }
      listings[command.connection] = nil
      // What was found may have left since.
      return page(
        topic, command, onDisk: listing.found.filter(isStillThere), isCut: listing.found.count > command.limit)
    }
    let near = page(topic, command, onDisk: [])
    // What is spilled may stand in front of what is in memory.
    if near.hasMore && !pending.hasSpilled || pending.onDiskCount == 0 { return near }
    let listing = Listing(topic: topic, command, behind: pending.watermarks.reached(topic: topic))
    let dueMs = command.dueMs
    listing.slices = pending.slicesOnDisk(
      min(max(dueMs.lowerBound, listing.after.dueMs), dueMs.upperBound)...dueMs.upperBound)
    listings[command.connection] = listing
    readNextSlice(listing, command.connection)
    throw .waitForDisk
  }

  private func readNextSlice(_ listing: Listing, _ connection: UInt64) {
    // The connection has ended, or has begun another listing.
    guard listings[connection] === listing else { return }
    while let slice = listing.slices.first, listing.found.count <= listing.command.limit {
      listing.slices.removeFirst()
      let isReading = pending.list(slice: slice, listing.request) { [unowned self] entries in
        listing.found += entries.filter(isStillThere)
        // What was asked for may stand behind copies of messages in memory.
        if entries.count == listing.request.limit, let last = entries.last {
          listing.after = (last.dueMs, last.sequence)
          listing.slices.insert(slice, at: 0)
        }
        readNextSlice(listing, connection)
      }
      if isReading { return }
    }
    listing.isRunning = false
    turn.notify(.retry(connection: connection))
  }

  private func isStillThere(_ entry: SliceListEntry) -> Bool {
    if case .disk(_, let position)? = pending.place(of: entry.hash) { return position == entry.position }
    return false
  }

  /// The first messages of memory and disk together.
  ///
  /// - Parameter isCut: whether there is more on disk than `onDisk`.
  private func page(
    _ topic: UInt32, _ command: ListCommand, onDisk: [SliceListEntry], isCut: Bool = false
  ) -> ListPage {
    let after = command.after ?? (.min, 0)
    var messages = onDisk.map { ListedMessage(bytes: $0.bytes, dueMs: $0.dueMs, sequence: $0.sequence) }
    var near: [(dueMs: UnixMs, sequence: Sequence, record: MessageRecord)] = []
    pending.forEachNear { record, sequence in
      guard record.topic == topic, !record.isLost else { return }
      let key = (record.dueMs, sequence)
      if command.dueMs.contains(record.dueMs), key > after { near.append((key.0, key.1, record)) }
    }
    near.sort { ($0.dueMs, $0.sequence) < ($1.dueMs, $1.sequence) }
    for one in near.prefix(command.limit + 1) {
      let shown = UnsafeRawPointer(one.record.base).distance(to: one.record.body.baseAddress!)
      messages.append(
        ListedMessage(bytes: Array(one.record.bytes.prefix(shown)), dueMs: one.dueMs, sequence: one.sequence))
    }
    messages.sort { ($0.dueMs, $0.sequence) < ($1.dueMs, $1.sequence) }
    return ListPage(
      messages: Array(messages.prefix(command.limit)), hasMore: messages.count > command.limit || isCut)
  }
}

/// A listing that reads slices.
private final class Listing {
  let command: (topic: UInt32, dueMs: ClosedRange<UnixMs>, limit: Int)
  var after: (dueMs: UnixMs, sequence: Sequence)
  var slices: [UInt32] = []
  var found: [SliceListEntry] = []
  var isRunning = true

  /// - Parameter reached: what stands there or before has left, but its copies may still lie on disk.
  init(topic: UInt32, _ command: ListCommand, behind reached: Watermark) {
    self.command = (topic, command.dueMs, command.limit)
    let after = command.after ?? (.min, 0)
    self.after = after > (reached.dueMs, reached.sequence) ? after : (reached.dueMs, reached.sequence)
  }

  /// A slice of near messages has copies of those in memory, too, for each page no more than the page shows of them: twice as many
  /// entries as it needs are enough to read such a slice once for a page.
  var request: SliceListRequest {
    SliceListRequest(
      topic: command.topic, dueMs: command.dueMs, afterDueMs: after.dueMs, afterSequence: after.sequence,
      limit: 2 * (command.limit + 1))
  }
}

extension Broker {
  /// One page of the pending messages of a topic. O(messages in memory) and, when those do not fill the page, one reading of
  /// each slice that does.
  ///
  /// - Throws: `waitForDisk` while slices are read.
  public func list(_ command: ListCommand) throws(BrokerStop) -> Answer<ListPage> {
    try requireWorking()
    return answer(try coldReads.list(try topics.existing(command.topic).number, command))
  }

  /// Drops what was read from disk for a connection: its command is through.
  public func forgetColdReads(_ connection: UInt64) { coldReads.forget(connection) }

  /// What the command of a connection waited for, which the broker knows nothing of, has come: it is given again.
  public func giveAgain(connection: UInt64) { turn.notify(.retry(connection: connection)) }
}
