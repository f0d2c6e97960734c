// The data folder of a node: a folder for each shard, and whether what is not there is on other nodes.
//
// Leaves to others: what is in the folder of a shard (Engine).

import Platform
import Primitives

/// A node's data folder.
public enum NodeFolder {
  /// A node whose folder has this file was told to begin the next generation of a shard. The folders that it does not have were
  /// removed then, for those of other nodes: it never begins an empty log in their place.
  private static let generationPath = "generation"

  /// Where the folder of a shard is.
  public static func path(ofShard shard: Int, in folder: String) -> String { "\(folder)/shard-\(shard)" }

  /// Notes durably that the node begins the next generation of a shard.
  public static func noteGeneration(in folder: String) throws(StorageError) {
    let storage = try DiskStorage(root: folder)
    let file = try storage.open(generationPath, create: true)
    defer { storage.close(file) }
    try storage.sync(file)
    try storage.syncDirectory("")
  }

  /// Whether the node may begin logs of shards whose folders it does not have.
  static func mayBeginLogs(in folder: String) throws(StorageError) -> Bool {
    try !DiskStorage(root: folder).list("").contains(generationPath)
  }
}
