// Fetches the folder of a shard from another node, for a node that is new or was away for too long.
//
// Holds: the shard is not open meanwhile. A folder that did not come whole counts as an empty one, and is fetched anew.
// Leaves to others: what the bytes are (FolderArchiveReader), opening the folder (ShardLoop), giving it (FolderGift).

import Cluster
import Engine
import Logs
import Platform
import Primitives
import Server
import Synchronization

/// The thread that fetches one folder.
final class FolderFetch: @unchecked Sendable {
  private let number: Int
  private let settings: NodeSettings
  private let storage: any Storage
  private let note: CheckpointNote
  private let sources: [KnownNode]
  private let log: ServerLog
  private let wake: EventSignal
  private let isStopping = Atomic(false)
  private var thread: Thread?

  /// How long nothing may come at first: the other node takes a checkpoint.
  private static let beginNs: Int64 = 300_000_000_000
  /// And from then on.
  private static let silenceNs: Int64 = 15_000_000_000
  private static let pauseNs: Int64 = 3_000_000_000

  /// Begins.
  ///
  /// - Parameters:
  ///   - shard: its number.
  ///   - status: of the shard's log: who asks, and which nodes there are.
  ///   - done: called on the thread of the fetch at its end, with a folder or without one.
  init(
    _ shard: Int, into storage: any Storage, _ status: ReplicationStatus, _ settings: NodeSettings,
    log: @escaping ServerLog, done: @escaping @Sendable () -> Void
  ) throws(SystemError) {
    number = shard
    self.settings = settings
    self.storage = storage
    note = status.checkpoint
    sources = status.nodes.filter { $0.name != settings.name }
    self.log = log
    wake = try EventSignal()
    thread = try Thread(name: "fetch-\(number)") { [self] in
      run()
      done()
    }
  }

  /// Ends it: in seconds, unless the disk takes longer for what has come.
  func stop() {
    isStopping.store(true, ordering: .releasing)
    wake.raise()
    thread?.join()
  }

  private func run() {
    var reasons: [String] = []
    for source in sources.shuffled() where !isStopping.load(ordering: .acquiring) {
      guard let reason = fetch(from: source) else { return }
      reasons.append("\(source.name) (\(source.address)): \(reason)")
    }
    guard !isStopping.load(ordering: .acquiring) else { return }
    let why = reasons.isEmpty ? "no other node is known yet" : reasons.joined(separator: "; ")
    log(.warning, "no_folder", "no node has given its folder of shard \(number), it is asked for again: \(why)")
    wake.wait(timeoutNs: Self.pauseNs)
  }

  /// Why the folder has not come; nil when it has.
  private func fetch(from source: KnownNode) -> String? {
    guard let address = NodeAddress(NodePlaces(source.address).line), let link = NodeLink(to: address, settings) else {
      return "it cannot be reached"
    }
    guard let begun = link.ask(NodeLink.copyLine(ofShard: number, for: note, settings)) else { return link.refusal }
    log(.info, "folder_begun", "copies the folder of shard \(number) from node \(source.name)")
    let reader = FolderArchiveReader(storage)
    var failure: StorageError?
    func take(_ bytes: UnsafeRawBufferPointer) {
      do throws(StorageError) { if failure == nil { try reader.take(bytes) } } catch { failure = error }
    }
    begun.withUnsafeBytes(take)
    var heardNs = SystemClock.bootNs()
    var patienceNs = Self.beginNs
    while failure == nil, !reader.isFinished, link.isOpen, !isStopping.load(ordering: .acquiring),
      SystemClock.bootNs() - heardNs < patienceNs
    {
      link.receive(withinNs: 500_000_000) { bytes in
        take(bytes)
        // Behind the work on what has come: a slow disk of this node is not the silence of the other one.
        heardNs = SystemClock.bootNs()
        patienceNs = Self.silenceNs
      }
    }
    if reader.isFinished {
      log(.info, "folder_copied", "has the folder of shard \(number) from node \(source.name)")
      return nil
    }
    if let failure { return "\(failure)" }
    return link.isOpen ? "nothing came for \(patienceNs / 1_000_000_000) s" : "it ended the connection"
  }
}
