// Opening a journal: recovering its records and beginning to write behind them; and the sync before a checkpoint.

import DecisionLog
import Primitives

extension JournalLog {
  /// A journal that is only looked at, with `recover` and `.verify`.
  public static func toVerify(_ storage: any Storage, identity: LogIdentity?) throws(LogError) -> JournalLog {
    let nobody = StoreID(low: 0, high: 0)
    return try JournalLog(storage, identity: identity, random: { nobody }, clock: { 0 }, wake: {}, notify: {})
  }

  static func newIdentity(_ storage: any Storage, _ random: () -> StoreID) throws(LogError) -> LogIdentity {
    let names: [String]
    do throws(StorageError) { names = try storage.list(folder) } catch { throw LogError(.storage(error)) }
    guard names.isEmpty else { throw LogError(.orphaned, "there is a journal and nothing that says whose it is") }
    let store = random()
    return LogIdentity(store: store, hashKey: random())
  }

  /// Reads the segments; see `JournalReader` for what is damage and what is a torn tail.
  public func recover(
    from first: Sequence, _ mode: RecoveryMode,
    _ apply: (_ sequence: Sequence, _ kind: UInt8, _ payload: UnsafeRawBufferPointer) throws -> Void
  ) throws(LogError) -> RecoveryReport {
    do throws(JournalError) {
      if mode != .verify { try removeSpares() }
      let found = try JournalReader.recover(
        storage: storage, folder: Self.folder, from: first, store: identity.store, salvage: mode != .strict, apply)
      if mode != .verify { recovered = found }
      return found.report
    } catch {
      throw LogError(error)
    }
  }

  /// Removes segments kept for reuse, because applying the records may need their space.
  private func removeSpares() throws(JournalError) {
    do throws(StorageError) {
      for name in try storage.list(Self.folder) where name.hasSuffix(".tmp") {
        try storage.remove("\(Self.folder)/\(name)")
      }
    } catch { throw .storage(error) }
  }

  /// Makes what was recovered durable, and begins a fresh segment.
  public func begin() throws(LogError) {
    guard let recovered, begunWriter == nil else { preconditionFailure("a log begins once, where its recovery ended") }
    do throws(JournalError) {
      let writer = try SegmentWriter(
        storage: storage, folder: Self.folder, store: identity.store, recovered: recovered,
        segmentBytes: settings.segmentBytes)
      written.store(writer.writtenSequence, ordering: .releasing)
      durable.store(writer.durableSequence, ordering: .releasing)
      reserve.store(writer.reservedBytes, ordering: .relaxed)
      nextSequence = writer.writtenSequence + 1
      begunWriter = writer
    } catch {
      throw LogError(error)
    }
  }

  var writer: SegmentWriter {
    guard let begunWriter else { preconditionFailure("a log is written only after it has begun") }
    return begunWriter
  }

  /// Syncs every segment. Beside the journal thread, so that nothing waits for it, and without telling `durableSequence`.
  public func persist() throws(StorageError) {
    for name in try storage.list(Self.folder) where name.hasSuffix(".wal") {
      let file: FileID
      do throws(StorageError) {
        file = try storage.open("\(Self.folder)/\(name)", create: false)
      } catch  where error.kind == .notFound {
        // The segment was released meanwhile.
        continue
      }
      defer { storage.close(file) }
      try storage.sync(file)
    }
  }

  /// Makes a journal in another folder that begins behind `sequence` and holds no record.
  public func beginCopy(in storage: any Storage, behind sequence: Sequence) throws(StorageError) {
    try storage.makeDirectory(Self.folder)
    let first = sequence + 1
    let file = try storage.open("\(Self.folder)/\(Segment.name(first: first))", create: true)
    defer { storage.close(file) }
    let bytes = SegmentHeader.bytes + RecordBuffer.endBytes
    let block = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes, alignment: 16)
    defer { block.deallocate() }
    block.initializeMemory(as: UInt8.self, repeating: 0)
    SegmentHeader(firstSequence: first, store: identity.store, fileBytes: bytes).write(into: block)
    try storage.write(file, at: 0, UnsafeRawBufferPointer(block))
    try storage.sync(file)
    try storage.syncDirectory(Self.folder)
  }
}
