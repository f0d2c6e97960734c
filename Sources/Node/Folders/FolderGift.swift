// Gives the folder of a shard to another node: a snapshot, beside everything else, then its bytes.
//
// Holds: before the first byte leaves, and each minute until the last one has, the leader is told of the checkpoint in the name of
// the node that gets it, so that it truncates no more of the log than that node can do without.
// Leaves to others: what the bytes are (FolderArchiveWriter), carrying them on to the other node (Front).

import Cluster
import Engine
import Foundation
import Logs
import Platform
import Primitives
import Synchronization

/// A folder that is asked of a shard, for a while.
final class FolderGift: @unchecked Sendable {
  /// Whose folder it becomes.
  let note: CheckpointNote
  private let shard: ShardLoop
  private let path: String
  private let descriptor: Int32
  private let wake: EventSignal
  private let result = Mutex<Result<SnapshotSummary, StorageError>?>(nil)

  /// The other side must take something in this time.
  private static let patienceNs: Int64 = 60_000_000_000
  private static let tellEveryNs: Int64 = 60_000_000_000

  /// Begins to give.
  ///
  /// - Parameter descriptor: where the bytes go; closed at the end. Its other end must be read.
  static func begin(_ shard: ShardLoop, to note: CheckpointNote, _ descriptor: Int32) throws(SystemError) {
    do throws(SystemError) {
      let gift = try FolderGift(shard, note, descriptor)
      _ = try Thread(name: "give-\(shard.number)") {
        gift.run()
        Socket.close(descriptor)
        shard.isGiving.store(false, ordering: .releasing)
      }
    } catch {
      Socket.close(descriptor)
      throw error
    }
  }

  private init(_ shard: ShardLoop, _ note: CheckpointNote, _ descriptor: Int32) throws(SystemError) {
    self.shard = shard
    self.note = note
    self.descriptor = descriptor
    path = Self.path(of: shard.number, shard.settings)
    wake = try EventSignal()
  }

  /// Where the snapshot is: beside the folder of the shard, so that files can be linked.
  private static func path(of shard: Int, _ settings: NodeSettings) -> String {
    "\(settings.server.dataFolder)/copy-\(shard)"
  }

  /// Removes what a gift has left that did not come to its end.
  static func removeLeftovers(of shard: Int, _ settings: NodeSettings) {
    for path in [path(of: shard, settings), path(of: shard, settings) + ".partial"] {
      try? FileManager.default.removeItem(atPath: path)
    }
  }

  /// Where the snapshot is made. Its calls come from a thread of the shard.
  var target: SnapshotTarget {
    let unfinished = UnfinishedFolder(path: path)
    return SnapshotTarget(
      open: { () throws(StorageError) in try unfinished.begin() },
      finish: { () throws(StorageError) in try unfinished.finish() })
  }

  /// The snapshot is made, or will not be.
  func finished(_ result: Result<SnapshotSummary, StorageError>) {
    self.result.withLock { $0 = result }
    wake.raise()
  }

  /// The shard has no engine to make one of.
  func fail(_ reason: String) {
    finished(.failure(StorageError(kind: .failed, operation: "copy", path: "the data folder", reason: reason)))
  }

  private func run() {
    Self.removeLeftovers(of: shard.number, shard.settings)
    defer { Self.removeLeftovers(of: shard.number, shard.settings) }
    shard.post(.give(self))
    // The shard says how it ended, also when it is not there any more to make one.
    _ = wake.wait(timeoutNs: -1)
    do throws(StorageError) {
      switch result.withLock({ $0 }) {
      case .success: try send(FolderArchiveWriter(try DiskStorage(root: path, readOnly: true)))
      case .failure(let error): throw error
      case nil: return
      }
    } catch {
      shard.log(.warning, "folder_not_given", "node \(note.node) gets no folder of shard \(shard.number): \(error)")
    }
  }

  private func send(_ writer: FolderArchiveWriter) throws(StorageError) {
    guard tellLeader(writer.mark) else {
      return shard.log(.warning, "folder_not_given", "the leader of shard \(shard.number) cannot be told of a folder")
    }
    var toldNs = SystemClock.bootNs()
    while let block = try writer.next() {
      if SystemClock.bootNs() - toldNs >= Self.tellEveryNs {
        _ = tellLeader(writer.mark)
        toldNs = SystemClock.bootNs()
      }
      guard block.withUnsafeBytes(write) else { return }
    }
    shard.log(.info, "folder_given", "the folder of shard \(shard.number) was sent to node \(note.node)")
  }

  private func tellLeader(_ mark: LogMark) -> Bool {
    var note = note
    note.streamSequence = mark.position.streamSequence
    let view = shard.view
    if view.isServing {
      shard.post(.note(note))
      return true
    }
    guard let leader = view.leader(otherThan: shard.settings.name) else { return false }
    return NodeLink.tell(note, ofShard: shard.number, to: leader, shard.settings)
  }

  /// Whether all of it was taken.
  private func write(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var rest = bytes
    while !rest.isEmpty {
      switch Socket.write(descriptor, rest) {
      case .bytes(let count): rest = UnsafeRawBufferPointer(rebasing: rest[count...])
      case .wouldBlock: guard Socket.waitWritable(descriptor, timeoutNs: Self.patienceNs) else { return false }
      case .closed, .failed: return false
      }
    }
    return true
  }
}
