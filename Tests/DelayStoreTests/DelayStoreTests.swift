// The delay store against a dictionary of what is pending: nothing comes early, nothing is lost, whatever happens to messages
// while their slices move.

import DataFiles
import DelayStore
import Primitives
import SimulatedDisk
import Testing

/// An owner that only notes what comes near.
final class NotingOwner: DelayStoreOwner {
  unowned let store: DelayStore
  var near: [IDHash: (id: String, dueMs: UnixMs)] = [:]
  var deadTopics: Set<UInt32> = []
  var damage: StorageError?

  init(_ store: DelayStore) { self.store = store }

  var hasRoomNear: Bool { true }
  func wasSpilled(_ message: SpilledMessage, topic: UInt32) { preconditionFailure("there is room") }
  func cameNear(_ record: MessageRecord, hash: IDHash, slice: UInt32, position: Int) {
    precondition(near[hash] == nil, "a message came near twice")
    near[hash] = (String(decoding: record.id, as: UTF8.self), record.dueMs)
    store.index.set(hash, .memory(0))
  }
  func isAlive(topic: UInt32) -> Bool { !deadTopics.contains(topic) }
  func storeIsDamaged(_ error: StorageError) { damage = error }
}

/// A store over a simulated disk with its model.
final class StoreUnderTest {
  static let hasher = SipHash128(key0: 1, key1: 2)
  let disk: SimulatedStorage
  let io: ManualIOQueue
  let store: DelayStore
  let owner: NotingOwner
  var pending: [String: UnixMs] = [:]
  var sequence: Sequence = 0

  init(disk: SimulatedStorage = SimulatedStorage(), nowMs: UnixMs? = 5_000_000) {
    self.disk = disk
    io = ManualIOQueue(storage: disk)
    store = DelayStore(sliceMs: 100, hasher: Self.hasher, io: io)
    owner = NotingOwner(store)
    store.owner = owner
    if let nowMs { store.startEmpty(nowMs: nowMs) }
  }

  static func hash(_ id: String) -> IDHash {
    Array(id.utf8).withUnsafeBytes { hasher.hash(topic: 1, id: $0) }
  }

  /// Puts a message on disk; false when it belongs into memory.
  func insert(_ id: String, dueMs: UnixMs) -> Bool {
    guard store.belongsOnDisk(dueMs: dueMs) else { return false }
    sequence += 1
    Array(id.utf8).withUnsafeBytes { bytes in
      let parts = MessageParts(id: bytes, body: bytes)
      withUnsafeTemporaryAllocation(byteCount: parts.recordLength, alignment: 8) { memory in
        MessageRecord.write(
          parts, sequence: sequence, dueMs: dueMs, stampMs: 0, topic: 1, at: memory.baseAddress!)
        store.insert(MessageRecord(memory.baseAddress!), dueMs: dueMs, hash: Self.hash(id))
      }
    }
    pending[id] = dueMs
    return true
  }

  /// Takes a message from the disk; one that has come near is its owner's.
  func remove(_ id: String) {
    let hash = Self.hash(id)
    if case .disk(let slice, let position)? = store.index.find(hash) {
      store.remove(hash, slice: slice, position: position)
    } else {
      owner.near[hash] = nil
      store.index.remove(hash)
    }
    pending[id] = nil
  }

  /// Takes a message that is near: in memory, with a copy in its slice.
  func insertNear(_ id: String, dueMs: UnixMs) {
    precondition(!store.belongsOnDisk(dueMs: dueMs), "a message that is near")
    sequence += 1
    Array(id.utf8).withUnsafeBytes { bytes in
      let parts = MessageParts(id: bytes, body: bytes)
      withUnsafeTemporaryAllocation(byteCount: parts.recordLength, alignment: 8) { memory in
        MessageRecord.write(parts, sequence: sequence, dueMs: dueMs, stampMs: 0, topic: 1, at: memory.baseAddress!)
        _ = store.keepCopy(MessageRecord(memory.baseAddress!), dueMs: dueMs)
      }
    }
    owner.near[Self.hash(id)] = (id, dueMs)
    store.index.set(Self.hash(id), .memory(0))
    pending[id] = dueMs
  }

  func runTasks(_ count: Int, _ random: inout SplitMix64) {
    for _ in 0..<count { io.runOne(lane: Int(random.next() & 1)) }
    for task in io.takeFinished() where task.failure == nil { task.finished() }
  }

  private func said(at place: MessagePlace?) -> (dueMs: UnixMs, sequence: Sequence, topic: UInt32)? {
    guard case .disk(let slice, let position)? = place else { return nil }
    return store.peek(slice: slice, position: position) { path, position, count in
      disk.contents(path).map { Array($0.dropFirst(position).prefix(count)) }
    }
  }

  func check(nowMs: UnixMs) {
    #expect(store.index.count == pending.count)
    var onDisk = 0
    for (id, dueMs) in pending {
      let near = owner.near[Self.hash(id)]
      if case .disk? = store.index.find(Self.hash(id)) {
        onDisk += 1
        #expect(near == nil)
        #expect(dueMs >= store.loadedMs, "\(id) lies on disk behind loadedMs")
        #expect(said(at: store.index.find(Self.hash(id)))?.dueMs == dueMs, "\(id) lies elsewhere")
      } else {
        #expect(near?.dueMs == dueMs)
        #expect(dueMs < store.routedMs, "\(id) came into memory too early")
      }
    }
    #expect(store.onDiskCount == onDisk)
    #expect(owner.damage == nil)
  }
}

@Suite("delay store")
struct DelayStoreTests {
  @Test("the hand loses nothing while messages come, go and move", arguments: 1...12 as ClosedRange<UInt64>)
  func hand(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let test = StoreUnderTest()
    var nowMs: UnixMs = 5_000_000
    for _ in 0..<250 {
      for _ in 0..<Int.random(in: 0...4, using: &random) {
        let id = "m\(random.next() % 40)"
        if test.pending[id] != nil { test.remove(id) }
        let ahead = Int64(1) << Int64.random(in: 0...24, using: &random)
        if random.next() % 4 != 0 { _ = test.insert(id, dueMs: nowMs + Int64.random(in: 0...ahead, using: &random)) }
      }
      nowMs += random.next() % 9 == 0 ? Int64.random(in: 0...3_000_000, using: &random) : Int64(random.next() % 150)
      test.store.advance(nowMs: nowMs)
      test.runTasks(Int(random.next() % 5), &random)
      test.check(nowMs: nowMs)
    }
    for _ in 0..<3000 where test.store.onDiskCount > 0 {
      nowMs += 100_000
      test.store.advance(nowMs: nowMs)
      test.runTasks(6, &random)
    }
    #expect(test.owner.near.count == test.pending.count)
    test.check(nowMs: nowMs)
  }

  @Test("a checkpoint is taken up again with what was pending then", arguments: 1...12 as ClosedRange<UInt64>)
  func recovers(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let test = StoreUnderTest()
    for _ in 0..<120 {
      let id = "m\(random.next() % 60)"
      if test.pending[id] != nil { test.remove(id) }
      let ahead = Int64(1) << Int64.random(in: 10...30, using: &random)
      if random.next() % 3 != 0 { _ = test.insert(id, dueMs: 5_000_300 + Int64.random(in: 0...ahead, using: &random)) }
    }
    var unsynced: [String] = []
    let states = test.store.checkpoint(watermarkMs: 0, unsynced: &unsynced)
    let routedMs = test.store.routedMs
    let pending = test.pending
    // What comes behind the checkpoint is the journal's.
    for _ in 0..<20 { _ = test.insert("later\(random.next() % 9)-\(test.sequence)", dueMs: 6_000_000) }
    _ = test.store.checkpoint(watermarkMs: 0, unsynced: &unsynced)
    test.io.runAll()

    let again = StoreUnderTest(disk: test.disk.copy(), nowMs: nil)
    try again.store.recover(states, routedMs: routedMs, files: OpenFiles(storage: again.disk)) { _ in true }
    again.pending = pending
    again.check(nowMs: 5_000_000)
  }

  @Test("a slice that was emptied and filled again is not removed with its old file")
  func emptiedAndFilled() throws {
    var random = SplitMix64(seed: 1)
    let test = StoreUnderTest()
    #expect(test.insert("first", dueMs: 5_000_950))
    var unsynced: [String] = []
    _ = test.store.checkpoint(watermarkMs: 0, unsynced: &unsynced)
    #expect(test.store.takeObsolete().isEmpty)
    test.io.runAll()
    test.remove("first")
    // Until this one is durable the one before counts, which names the slice.
    #expect(test.store.checkpoint(watermarkMs: 0, unsynced: &unsynced).isEmpty)
    let removals = test.store.takeObsolete()
    #expect(removals == [unsynced[0]])
    #expect(test.insert("second", dueMs: 5_000_960))
    _ = test.store.checkpoint(watermarkMs: 0, unsynced: &unsynced)
    test.io.submit(RemoveTask(paths: removals), .write)
    for nowMs in stride(from: 5_000_000 as Int64, to: 5_002_000, by: 100) {
      test.store.advance(nowMs: nowMs)
      test.runTasks(8, &random)
    }
    #expect(test.owner.near.values.map(\.id) == ["second"])
  }
}
