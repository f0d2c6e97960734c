// Every kind of decision against the table in its file: a payload made as the table says is decoded and encoded again.

import DecisionLog
import Primitives
import SeededRandom
import Testing

@testable import Broker

@Suite("decisions")
struct DecisionTests {
  /// Decodes a payload and encodes what was read; gives the fields of one size in the order of the table.
  private func check<Kind: Decision>(
    _ type: Kind.Type, _ seed: UInt64, _ fields: (Kind) -> [any BinaryInteger]
  ) throws {
    let tables = try LayoutTable.all()
    let table = try #require(tables["\(Kind.self)"], "\(Kind.self) has no table")
    #expect(table.fault == nil)
    var random = SplitMix64(seed: seed)
    var (payload, values) = table.payload(&random, tables)
    if table.isRepeated { for _ in 0..<2 { payload += table.payload(&random, tables).bytes } }
    let records = RecordBuffer()
    payload.withUnsafeBytes { bytes in
      let decision = Kind(decoding: bytes)
      #expect(decision.byteCount == bytes.count, "\(Kind.self)")
      #expect(fields(decision).map { UInt64(truncatingIfNeeded: $0) } == values, "\(Kind.self)")
      var copy = [UInt8](repeating: 0, count: decision.byteCount)
      copy.withUnsafeMutableBytes { copy in
        var writer = PayloadWriter(copy)
        decision.encode(to: &writer)
        #expect(writer.isFull)
      }
      #expect(copy == payload, "\(Kind.self)")
      // What is applied after it was written reads as what was decoded.
      let written = records.write(decision)
      #expect(fields(written).map { UInt64(truncatingIfNeeded: $0) } == values, "\(Kind.self)")
    }
  }

  @Test(
    "decode and encode give the bytes that the table in the source says",
    arguments: DecisionKind.allCases, 1...4 as ClosedRange<UInt64>)
  func roundTrip(kind: DecisionKind, seed: UInt64) throws {
    switch kind {
    case .topicCreated: try check(TopicCreated.self, seed) { [$0.topic, $0.retentionMs, $0.retentionBytes] }
    case .topicDeleted: try check(TopicDeleted.self, seed) { [$0.topic] }
    case .trimmed: try check(Trimmed.self, seed) { [$0.topic, $0.firstOffset] }
    case .scheduled: try check(Scheduled.self, seed) { [$0.leaveMs] }
    case .scheduledMany:
      try check(ScheduledMany.self, seed) { decision in
        var times: [UnixMs] = []
        decision.forEach { times.append($0.leaveMs) }
        return [times[0]]
      }
    case .cancelled: try check(Cancelled.self, seed) { [$0.hash.low, $0.hash.high, $0.topic, $0.atMs] }
    case .released: try check(Released.self, seed) { [$0.through.dueMs, $0.through.sequence, $0.atMs] }
    case .published: try check(Published.self, seed) { [$0.atMs] }
    case .returned: try check(Returned.self, seed) { [$0.group, $0.offset, $0.leaveMs] }
    case .held: try check(MessageHeld.self, seed) { [$0.nextCheckMs, $0.owner.count] }
    case .heldReleased: try check(HeldReleased.self, seed) { [$0.number, $0.atMs] }
    case .heldDropped: try check(HeldDropped.self, seed) { [$0.number, $0.atMs] }
    case .heldChecked: try check(HeldChecked.self, seed) { [$0.number, $0.nextCheckMs] }
    case .heldAbandoned: try check(HeldAbandoned.self, seed) { [$0.number, $0.atMs] }
    case .groupCreated: try check(GroupCreated.self, seed) { [$0.group, $0.topic, $0.startOffset] }
    case .delivered:
      try check(Delivered.self, seed) {
        [$0.group, $0.offsets.lowerBound, $0.offsets.upperBound, $0.entries?.count ?? -1]
      }
    case .redelivered: try check(Redelivered.self, seed) { [$0.group, $0.offset] }
    case .acknowledged: try check(Acknowledged.self, seed) { [$0.group] }
    case .refused: try check(Refused.self, seed) { [$0.group, $0.untilMs, $0.offset] }
    case .rejected: try check(Rejected.self, seed) { [$0.group, $0.reason] }
    case .forwarded: try check(Forwarded.self, seed) { [$0.group, $0.offset, $0.atMs] }
    case .moved: try check(Moved.self, seed) { [$0.group, $0.offset] }
    case .enqueued: try check(Enqueued.self, seed) { [$0.source!.group, $0.source!.offset, $0.atMs] }
    case .deadLettered:
      try check(DeadLettered.self, seed) { [$0.source!.group, $0.source!.offset, $0.atMs, $0.letters.count] }
    case .offsetCommitted: try check(OffsetCommitted.self, seed) { [$0.topic, $0.offset, $0.queue] }
    case .catalogPut: try check(CatalogPut.self, seed) { [$0.name.count] }
    case .catalogRemoved: try check(CatalogRemoved.self, seed) { _ in [] }
    }
  }

  @Test("every table in the sources is one of a kind, and its offsets add up")
  func tables() throws {
    let tables = try LayoutTable.all()
    for table in tables.values { #expect(table.fault == nil) }
    // A letter is a part of two kinds and has a table of its own.
    #expect(tables.count == DecisionKind.allCases.count + 1)
  }
}
