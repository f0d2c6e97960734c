// What can be saved of a damaged data folder, written into another one that a server starts on.
//
// Holds: the folder is only read. Lengths and positions stay what they were: in the place of what is lost stands a record that
// says so, and so offsets, tombstones and the checkpoint stay true. A lost message whose header can be believed keeps its place
// in the order of releases; a lost offset is over for every group. What is lost is listed by topic and time, as far as it can be known.
// Needs the checkpoint, which says what everything means; and memory for the largest file.
// Leaves to others: damage of the journal, which a start with `salvages` leaves out (`needsStart`).

import Broker
import DataFiles
import DecisionLog
import DelayStore
import Primitives
import TopicLog

/// What a salvage found.
public struct SalvageReport: Sendable {
  /// What is lost, a line each.
  public var lost: [String] = []
  /// Whether records of the journal are missing, so that the new folder must be started once with `salvages`.
  public var needsStart = false
}

/// Copies a folder, leaving out what is damaged.
public struct Salvage {
  private let files: OpenFiles
  private let target: any Storage
  private let words: (String) -> String
  /// How people read a time.
  private let time: (UnixMs) -> String
  private let state: CheckpointState
  private let file: CheckpointFile
  private let names: [UInt32: String]
  private var report = SalvageReport()
  private var folders: Set<String> = [""]

  /// Writes what can be saved of `source` into a new folder.
  ///
  /// - Parameters:
  ///   - begin: makes the folder; not called when nothing can be saved.
  ///   - openLog: gives the log of an identity in the new folder, only to be looked at.
  ///   - words: what people call a topic, by its name.
  ///   - time: how they read a time.
  /// - Throws: when the checkpoint cannot be read, or the new folder not be written.
  public static func run(
    _ source: any Storage, begin: () throws(StorageError) -> any Storage, openLog: OpenLog,
    words: @escaping (String) -> String, time: @escaping (UnixMs) -> String
  ) throws(EngineError) -> SalvageReport {
    let (file, state) = try EngineError.ofStorage { () throws(StorageError) in try checkpoint(of: source) }
    let target = try EngineError.ofStorage(begin)
    var salvage = Salvage(
      files: OpenFiles(storage: source), target: target, words: words, time: time, state: state, file: file,
      names: Dictionary(state.topicFiles.map { ($0.topic, $0.name) }, uniquingKeysWith: { first, _ in first }))
    try EngineError.ofStorage { () throws(StorageError) in try salvage.copyFiles() }
    try salvage.copyJournal(openLog)
    _ = try EngineError.ofStorage { () throws(StorageError) in try file.save(target) }
    return salvage.report
  }

  private static func checkpoint(of source: any Storage) throws(StorageError) -> (CheckpointFile, CheckpointState) {
    var error = StorageError(
      kind: .damaged, operation: "read", path: CheckpointFile.path, reason: "there is none, or its state is not whole")
    do throws(StorageError) {
      if let file = try CheckpointFile.load(source), let state = CheckpointState(file.state) { return (file, state) }
    } catch let reason { error = reason }
    if error.kind == .damaged { error.reason += Self.advice }
    throw error
  }

  private static let advice =
    "; without it nothing says what the other files mean: restore the folder from a snapshot"

  private init(
    files: OpenFiles, target: any Storage, words: @escaping (String) -> String, time: @escaping (UnixMs) -> String,
    state: CheckpointState, file: CheckpointFile, names: [UInt32: String]
  ) {
    self.files = files
    self.target = target
    self.words = words
    self.time = time
    self.state = state
    self.file = file
    self.names = names
  }

  private mutating func copyFiles() throws(StorageError) {
    for slice in state.slices { try copy(slice) }
    for (topic, name, segments) in state.topicFiles {
      for (place, segment) in segments.enumerated() {
        let next = place + 1 < segments.count ? segments[place + 1].baseOffset : state.nextOffset(ofTopic: topic)
        try copy(segment, of: topic, called: words(name), endOffset: next ?? segment.baseOffset)
      }
    }
    for outcomes in state.outcomeFiles { try copyOutcomes(outcomes.path, outcomes.length) }
    for folder in folders.sorted() { try target.syncDirectory(folder) }
  }

  /// Writes a whole file, durably.
  private mutating func write(_ path: String, _ bytes: UnsafeRawBufferPointer) throws(StorageError) {
    var folder = path[..<(path.lastIndex(of: "/") ?? path.startIndex)]
    try target.makeDirectory(String(folder))
    while folders.insert(String(folder)).inserted {
      folder = folder[..<(folder.lastIndex(of: "/") ?? folder.startIndex)]
    }
    let copy = try target.open(path, create: true)
    defer { target.close(copy) }
    try target.write(copy, at: 0, bytes)
    try target.sync(copy)
  }

  private mutating func write(_ path: String, _ repair: RecordRepair) throws(StorageError) {
    try write(path, UnsafeRawBufferPointer(start: repair.memory.base, count: repair.length))
  }

  // MARK: Slices

  private mutating func copy(_ slice: DelayStore.SliceState) throws(StorageError) {
    let repair = try RecordRepair(files, path: slice.path, length: slice.length)
    let layout = SliceLayout(sliceMs: file.sliceMs)
    let times = layout.startMs(slice.key)..<layout.endMs(slice.key)
    func isGood(_ record: MessageRecord) -> Bool {
      record.kind == RecordKind.tombstone || times.contains(record.dueMs)
    }
    var place = 0
    while place < slice.length {
      if let record = repair.record(at: place), isGood(record) {
        place += record.length
        continue
      }
      let (end, isOneRecord) = repair.endOfStretch(from: place) { record, _ in isGood(record) }
      guard end - place >= MessageRecord.headerLength else {
        throw StorageError(
          kind: .damaged, operation: "read", path: slice.path,
          reason: "the \(end - place) bytes at its end are no record and have no room for one")
      }
      report.lost.append(mend(repair, place..<end, isOneRecord: isOneRecord, times, path: slice.path))
      place = end
    }
    try write(slice.path, repair)
  }

  /// Puts something good into a stretch of a slice; says what was lost.
  private func mend(
    _ repair: RecordRepair, _ stretch: Range<Int>, isOneRecord: Bool, _ times: Range<UnixMs>, path: String
  ) -> String {
    let record = MessageRecord(repair.memory.base + stretch.lowerBound)
    let at = "\(path) at byte \(stretch.lowerBound)"
    defer { if repair.record(at: stretch.lowerBound) == nil { repair.blank(stretch) } }
    guard isOneRecord else {
      return
        "\(at): \(stretch.count) bytes of messages due from \(time(times.lowerBound)) to \(time(times.upperBound)), or of their "
        + "cancels: a message that was cancelled there is pending again"
    }
    if record.kind == RecordKind.tombstone, stretch.count == MessageRecord.headerLength,
      let position = Int(exactly: record.sequence), position < stretch.lowerBound, repair.record(at: position) != nil
    {
      MessageRecord.writeTombstone(for: position, at: record.base)
      return "\(at): nothing; the mark of a message that had left could be mended"
    }
    guard let name = names[record.topic], times.contains(record.dueMs) else {
      return "\(at): a message due from \(time(times.lowerBound)) to \(time(times.upperBound)), or the cancel of one"
    }
    if record.flags & RecordFlags.expiryTimer != 0 {
      return
        "\(at): the end of the time to live of a message in \(words(name)), which ends when it is delivered instead"
    }
    let id = legibleID(record, stretch.count)
    let (dueMs, sequence, stampMs, topic) = (record.dueMs, record.sequence, record.stampMs, record.topic)
    MessageRecord.writeLost(
      length: stretch.count, sequence: sequence, dueMs: dueMs, stampMs: stampMs, topic: topic, id: id, at: record.base)
    return "\(at): a message of \(words(name)) due at \(time(dueMs))"
      + (id.isEmpty ? "" : ", id '\(String(decoding: id, as: UTF8.self))'")
  }

  /// The id of a damaged record, if it looks like one.
  private func legibleID(_ record: MessageRecord, _ bytes: Int) -> [UInt8] {
    guard record.kind == RecordKind.message, (1...128).contains(record.id.count),
      MessageRecord.headerLength + record.id.count <= bytes
    else { return [] }
    let id = Array(record.id)
    let text = String(decoding: id, as: UTF8.self)
    let isLegible =
      Array(text.utf8) == id && !text.unicodeScalars.contains { $0.properties.generalCategory == .control }
    return isLegible ? id : []
  }

  // MARK: Topics

  private mutating func copy(
    _ segment: TopicLog.SegmentState, of topic: UInt32, called name: String, endOffset: TopicOffset
  ) throws(StorageError) {
    let path = TopicLog.path(topic, segment: segment.baseOffset)
    let repair = try RecordRepair(files, path: path, length: segment.length)
    var expected = segment.baseOffset
    var lastMs: UnixMs?
    var place = 0
    var isMended = false
    while place < segment.length {
      if let record = repair.record(at: place), record.topic == topic, record.sequence == expected {
        expected += 1
        lastMs = record.stampMs
        place += record.length
        continue
      }
      let (end, isOneRecord) = repair.endOfStretch(from: place) { record, at in
        // As many offsets can be missing as headers had room.
        record.topic == topic && record.sequence > expected
          && record.sequence - expected <= UInt64((at - place) / MessageRecord.headerLength)
      }
      let next = end < segment.length ? MessageRecord(repair.memory.base + end) : nil
      let missing = try self.missing(
        from: expected, to: next?.sequence ?? endOffset, in: end - place, isOneRecord: isOneRecord, path)
      let afterMs = lastMs ?? next?.stampMs ?? 0
      hold(missing, in: place..<end, repair, topic, afterMs)
      let between = next.map { " and \(time($0.stampMs))" } ?? ""
      report.lost.append(
        "\(path) at byte \(place): \(FolderCheck.counted(missing.count, "released message")) of \(name), from offset "
          + "\(missing.lowerBound), released between \(lastMs.map(time) ?? "the one before")\(between)")
      expected = missing.upperBound
      place = end
      isMended = true
    }
    try write(path, repair)
    // The index of a mended segment is made again by a start.
    if segment.isSealed, !isMended { try copyIndex(of: path) }
  }

  /// The offsets that a stretch of a segment has held.
  private func missing(
    from first: TopicOffset, to next: TopicOffset, in bytes: Int, isOneRecord: Bool, _ path: String
  ) throws(StorageError) -> Range<TopicOffset> {
    if next > first, next - first <= UInt64(bytes / MessageRecord.headerLength) { return first..<next }
    // Behind the segment one was given up whole, so that its end is not known from outside.
    if isOneRecord { return first..<(first + 1) }
    throw StorageError(
      kind: .damaged, operation: "read", path: path,
      reason: "how many messages are missing behind offset \(first) cannot be told")
  }

  /// Puts records into a stretch that hold the places of these offsets.
  private func hold(
    _ offsets: Range<TopicOffset>, in stretch: Range<Int>, _ repair: RecordRepair, _ topic: UInt32, _ stampMs: UnixMs
  ) {
    var place = stretch.lowerBound
    for offset in offsets {
      let isLast = offset + 1 == offsets.upperBound
      let bytes = isLast ? stretch.upperBound - place : MessageRecord.headerLength
      MessageRecord.writeLost(
        length: bytes, sequence: offset, dueMs: stampMs, stampMs: stampMs, topic: topic, at: repair.memory.base + place)
      place += bytes
    }
  }

  private mutating func copyIndex(of path: String) throws(StorageError) {
    let index = String(path.dropLast(4)) + ".index"
    let size: Int
    do throws(StorageError) { size = try files.storage.size(try files.file(index, create: false)) } catch
      where error.kind == .notFound
    { return }
    try write(index, try RecordRepair(files, path: index, length: size))
  }

  // MARK: Recent outcomes and the journal

  private mutating func copyOutcomes(_ path: String, _ length: Int) throws(StorageError) {
    let repair = try RecordRepair(files, path: path, length: length)
    let damaged = CheckpointState.mendOutcomes(
      UnsafeMutableRawBufferPointer(start: repair.memory.base, count: length))
    if damaged > 0 {
      report.lost.append(
        "\(path): what became of \(FolderCheck.counted(damaged, "id")) lately; the same id again is a new message")
    }
    try write(path, repair)
  }

  private mutating func copyJournal(_ openLog: OpenLog) throws(EngineError) {
    let folder = "journal"
    try EngineError.ofStorage { () throws(StorageError) in
      for name in try files.storage.list(folder) where name.hasSuffix(".wal") {
        let path = "\(folder)/\(name)"
        let size = try files.storage.size(try files.file(path, create: false))
        try write(path, try RecordRepair(files, path: path, length: size))
      }
      try target.syncDirectory(folder)
    }
    let log = try EngineError.ofLog { () throws(LogError) in try openLog(file.identity) }
    let found = try EngineError.ofLog { () throws(LogError) in
      try log.recover(from: file.sequence + 1, .verify) { _, _, _ in }
    }
    report.lost += found.lost.map { "records \($0.from) to \($0.through) of the journal: \($0.reason)" }
    report.needsStart = !found.lost.isEmpty
  }
}
