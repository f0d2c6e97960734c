// cluster generation: goes on with what a node's folder holds when the streams of a cluster are lost.
//
// Leaves to others: what a folder holds (Engine), where it goes on (Cluster).

import Cluster
import Engine
import Node
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
      let begin = options.text("begin")
      let found = try shards(in: options.arguments[0], begin).map {
        try ShardFolder($0, in: options.arguments[0], isChanged: begin != nil)
      }
      if begin != nil {
        for shard in found { try shard.requireMark() }
        try NodeFolder.noteGeneration(in: options.arguments[0])
      }
      for shard in found { Output.line(begin == nil ? shard.words : try shard.beginNext()) }
      return found.contains { $0.problem != nil } ? 1 : 0
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

/// What a node at rest holds of a shard.
private struct ShardFolder {
  let number: Int
  let problem: String?
  private let storage: DiskStorage
  private let file: CheckpointFile?
  private let mark: LogMark?

  /// - Throws: when a server uses the folder that is to be changed.
  init(_ number: Int, in folder: String, isChanged: Bool) throws(StorageError) {
    self.number = number
    storage = try DiskStorage(root: NodeFolder.path(ofShard: number, in: folder), readOnly: !isChanged)
    if isChanged { try storage.lock() }
    do throws(StorageError) {
      file = try CheckpointFile.load(storage)
      problem = nil
    } catch {
      file = nil
      problem = "\(error)"
    }
    mark = file.flatMap { LogMark(decoding: $0.mark) }
  }

  /// What it holds, in a line.
  var words: String {
    if let problem { return "shard \(number): \(problem)" }
    guard let file, let mark else { return "shard \(number): nothing" }
    let place = "shard \(number): record \(file.sequence), epoch \(mark.position.epoch)"
    return mark.knownStream == nil ? "\(place); begins the next generation" : place
  }

  /// - Throws: when there is nothing that could be gone on with.
  func requireMark() throws(UsageError) {
    guard let mark, problem == nil else { throw UsageError("nothing is begun: \(words)") }
    if mark.knownStream == nil { throw UsageError("nothing is begun, it was told to already: \(words)") }
  }

  /// Has the node go on in a new stream; says from where.
  func beginNext() throws(StorageError) -> String {
    guard var file, let mark else { preconditionFailure("a shard that is begun anew has a mark") }
    file.mark = mark.nextGeneration(behind: file.sequence).encoded()
    try file.save(storage)
    return "\(words); begins the next generation"
  }
}
