// cluster generation: goes on with what a node's folder holds when the streams of a cluster are lost.
//
// Leaves to others: what a folder holds (Engine), where it goes on (Cluster).

import Cluster
import Engine
import Platform
import Primitives

extension Command {
  static let clusterGeneration = Command(
    name: "cluster generation", positional: ["DIR"],
    summary: """
      Show how far the folder of a node that is at rest has come, shard by shard. When the streams are lost for good: with --begin,
      have the node go on in new streams with what its folder holds. To be said to one node for each shard, the one that has come
      furthest; what was acknowledged behind it is lost. The other nodes must be started without their folders of these shards.
      """,
    options: [.value("begin", "SHARD", "begin the next generation of this shard; 'all' for each")]
  ) { options in
    do {
      let chosen = try shards(in: options.arguments[0], options.text("begin"))
      for shard in chosen {
        let storage = try DiskStorage(root: "\(options.arguments[0])/shard-\(shard)")
        try storage.lock()
        guard var file = try CheckpointFile.load(storage), let mark = LogMark(decoding: file.mark) else {
          Output.line("shard \(shard): empty")
          continue
        }
        let place = "record \(file.sequence), epoch \(mark.position.epoch)"
        guard options.text("begin") != nil else {
          Output.line("shard \(shard): \(place)")
          continue
        }
        file.mark = mark.nextGeneration(behind: file.sequence).encoded()
        try file.save(storage)
        Output.line("shard \(shard): goes on behind \(place), in a new stream")
      }
      return 0
    } catch let error as StorageError {
      printError("escapement cluster generation: \(error)")
      return 1
    }
  }

  /// The shards that a node's folder has, or those of them that are named.
  private static func shards(in folder: String, _ named: String?) throws -> [Int] {
    let names = try DiskStorage(root: folder, readOnly: true).list("")
    let all = names.compactMap { $0.hasPrefix("shard-") ? Int($0.dropFirst("shard-".count)) : nil }.sorted()
    guard !all.isEmpty else { throw UsageError("\(folder) is not the folder of a node of a cluster") }
    guard let named, named != "all" else { return all }
    guard let shard = Int(named), all.contains(shard) else {
      throw UsageError("'\(named)' is none of the shards in \(folder), and not 'all'")
    }
    return [shard]
  }
}
