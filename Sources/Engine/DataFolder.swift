// A data folder as a whole: what a checkpoint names in it, and emptying it.
//
// Leaves to others: what the files mean (Broker, DelayStore, TopicLog), moving them (snapshots, the cluster's copies).

import Broker
import DataFiles
import Primitives

extension CheckpointFile {
  /// The data files of the checkpoint and how many bytes of each count, itself left out; nil when its state is not whole.
  public var countedFiles: [(path: String, length: Int)]? {
    CheckpointState(state)?.countedFiles.map { ($0.path, $0.length) }
  }
}

extension Engine {
  /// Makes a data folder an empty one, durably: first its checkpoint goes, without which nothing else counts.
  public static func clear(_ storage: any Storage) throws(StorageError) {
    for path in [CheckpointFile.path, CheckpointFile.newPath] {
      do throws(StorageError) { try storage.remove(path) } catch  where error.kind == .notFound {}
    }
    try storage.syncDirectory("")
    try removeFiles(exceptFor: [], storage)
  }

  /// Removes data files whose paths are not among those.
  static func removeFiles(exceptFor known: Set<String>, _ storage: any Storage) throws(StorageError) {
    for folder in ["delay", "settled"] {
      for name in try storage.list(folder) where !known.contains("\(folder)/\(name)") {
        try storage.remove("\(folder)/\(name)")
      }
    }
    for topic in try storage.list("topics") {
      let names = try storage.list("topics/\(topic)")
      let strangers = names.filter { !known.contains("topics/\(topic)/\($0)") }
      for name in strangers { try storage.remove("topics/\(topic)/\(name)") }
      if strangers.count == names.count { try storage.removeDirectory("topics/\(topic)") }
    }
  }
}
