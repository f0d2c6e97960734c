// Checking a data folder without changing it: every checksum, every length, every sequence.

import Broker
import DataFiles
import DecisionLog
import DelayStore
import Primitives
import TopicLog

/// What a check found.
public struct FolderReport: Sendable {
  /// Whether there is anything of ours: a checkpoint or a journal. If not, nothing was checked.
  public var isDataFolder = true
  /// Lines about what is there.
  public var findings: [String] = []
  /// What a start would refuse for; empty for a good folder.
  public var damages: [String] = []
}

/// Reads a whole data folder.
public enum FolderCheck {
  /// Checks everything, reading only.
  ///
  /// - Parameters:
  ///   - openLog: gives the log of an identity (nil: a new one), which is not begun.
  ///   - words: what people call a topic, by its name.
  public static func run(
    _ storage: any Storage, openLog: OpenLog, words: (_ topic: String) -> String = { "topic \($0)" }
  ) -> FolderReport {
    var report = FolderReport()
    do throws(EngineError) {
      let file = try EngineError.ofStorage { () throws(StorageError) in try CheckpointFile.load(storage) }
      let log = try EngineError.ofLog { () throws(LogError) in try openLog(file?.identity) }
      guard let file else {
        report.isDataFolder = false
        return report
      }
      guard let state = CheckpointState(file.state) else {
        report.damages.append("checkpoint: its state is not whole")
        return report
      }
      let size = counted(file.state.count, "byte")
      report.findings.append("checkpoint: state as of record \(file.sequence), \(size)")
      checkLog(state, file, log, &report)
      checkFiles(state, file, OpenFiles(storage: storage), words, &report)
    } catch {
      let isOrphaned = if case .log(let error) = error { error.kind == .orphaned } else { false }
      report.damages.append(isOrphaned ? "checkpoint: there is none, but there is a journal" : "\(error)")
    }
    return report
  }

  private static func checkLog(
    _ state: CheckpointState, _ file: CheckpointFile, _ log: any DecisionLog, _ report: inout FolderReport
  ) {
    var held = HeldTally(state)
    do throws(LogError) {
      let found = try log.recover(from: file.sequence + 1, .verify) { held.follow(kind: $1, $2) }
      let records = counted(found.records, "record")
      report.findings.append("journal: \(records) behind the checkpoint, \(counted(found.bytes, "byte"))")
      if let torn = found.tornTail {
        let cut = counted(torn.bytesCut, "byte")
        report.findings.append(
          "journal: a torn tail of \(cut) at byte \(torn.offset) of \(torn.file), which a start cuts off")
      }
      report.findings.append("held back until their owners decide: \(counted(held.count, "message"))")
      for lost in found.lost { report.damages.append(lost.reason) }
    } catch {
      report.damages.append("\(error)")
    }
  }

  private static func checkFiles(
    _ state: CheckpointState, _ file: CheckpointFile, _ files: OpenFiles, _ words: (String) -> String,
    _ report: inout FolderReport
  ) {
    let hasher = SipHash128(key0: file.identity.hashKey.low, key1: file.identity.hashKey.high)
    for (path, length) in state.sliceFiles {
      attempt(&report) { () throws(StorageError) in
        var messages = 0
        var tombstones = 0
        var lost = 0
        try requireLength(path, length, files)
        try DelayStore.forEachRecord(files, path, length, hasher) { record, _, _ in
          switch record.kind {
          case RecordKind.message: messages += 1
          case RecordKind.tombstone: tombstones += 1
          default: lost += 1
          }
        }
        let rest = lost == 0 ? "" : ", \(counted(lost, "place")) of what a salvage found lost"
        return "\(path): \(counted(messages, "message")), \(counted(tombstones, "tombstone"))\(rest)"
      }
    }
    for (topic, name, segments) in state.topicFiles {
      for segment in segments {
        let path = TopicLog.path(topic, segment: segment.baseOffset)
        attempt(&report) { () throws(StorageError) in
          let count = try TopicLog.check(files, topic: topic, segment, path: path)
          return "\(path): \(counted(count, "message")) of \(words(name)) from offset \(segment.baseOffset)"
        }
      }
    }
    attempt(&report) { () throws(StorageError) in
      "settled: \(counted(try state.checkOutcomes(files), "id"))"
    }
  }

  private static func requireLength(_ path: String, _ length: Int, _ files: OpenFiles) throws(StorageError) {
    let size = try files.storage.size(try files.file(path, create: false))
    guard size >= length else {
      throw StorageError(
        kind: .damaged, operation: "open", path: path, reason: "it has \(size) bytes where the checkpoint has \(length)"
      )
    }
  }

  static func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }

  private static func attempt(_ report: inout FolderReport, _ body: () throws(StorageError) -> String) {
    do throws(StorageError) { report.findings.append(try body()) } catch { report.damages.append("\(error)") }
  }
}
