// Checking a data folder without changing it: every checksum, every length, every sequence.

import Broker
import DataFiles
import DelayStore
import Foundations
import Journal
import TopicLog

/// What a check found.
public struct FolderReport: Sendable {
  /// Lines about what is there.
  public var findings: [String] = []
  /// What a start would refuse for; empty for a good folder.
  public var damages: [String] = []
}

/// Reads a whole data folder.
public enum FolderCheck {
  /// Checks everything, reading only.
  public static func run(_ storage: any Storage) -> FolderReport {
    var report = FolderReport()
    do throws(StorageError) {
      guard let file = try CheckpointFile.load(storage) else {
        report.damages.append("checkpoint: there is none; this is not a data folder")
        return report
      }
      guard let state = CheckpointState(file.state) else {
        report.damages.append("checkpoint: its state is not whole")
        return report
      }
      report.findings.append("checkpoint: state as of record \(file.sequence), \(file.state.count) bytes")
      checkJournal(file, storage, &report)
      checkFiles(state, file, OpenFiles(storage: storage), &report)
    } catch {
      report.damages.append("\(error)")
    }
    return report
  }

  private static func checkJournal(_ file: CheckpointFile, _ storage: any Storage, _ report: inout FolderReport) {
    do throws(JournalError) {
      let journal = try JournalReader.verify(storage: storage, from: file.sequence + 1, store: file.store)
      report.findings.append("journal: \(journal.records) records behind the checkpoint, \(journal.bytes) bytes")
      if let torn = journal.tornTail {
        report.findings.append(
          "journal: a torn tail of \(torn.bytesCut) bytes at byte \(torn.offset) of \(torn.file), which a start cuts off"
        )
      }
      for lost in journal.lost { report.damages.append(lost.reason) }
    } catch {
      report.damages.append("\(error)")
    }
  }

  private static func checkFiles(
    _ state: CheckpointState, _ file: CheckpointFile, _ files: OpenFiles, _ report: inout FolderReport
  ) {
    let hasher = SipHash128(key0: file.hashKey.low, key1: file.hashKey.high)
    for (path, length) in state.sliceFiles {
      attempt(&report) { () throws(StorageError) in
        var messages = 0
        var tombstones = 0
        try requireLength(path, length, files)
        try DelayStore.forEachRecord(files, path, length, hasher) { record, _, _ in
          if record.kind == RecordKind.message { messages += 1 } else { tombstones += 1 }
        }
        return "\(path): \(messages) messages, \(tombstones) tombstones"
      }
    }
    for (topic, name, segments) in state.topicFiles {
      for segment in segments {
        let path = TopicLog.path(topic, segment: segment.baseOffset)
        attempt(&report) { () throws(StorageError) in
          let count = try TopicLog.check(files, topic: topic, segment, path: path)
          return "\(path): \(count) messages of topic \(name) from offset \(segment.baseOffset)"
        }
      }
    }
    attempt(&report) { () throws(StorageError) in
      "settled: \(try state.checkSettled(files)) ids"
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

  private static func attempt(_ report: inout FolderReport, _ body: () throws(StorageError) -> String) {
    do throws(StorageError) { report.findings.append(try body()) } catch { report.damages.append("\(error)") }
  }
}
