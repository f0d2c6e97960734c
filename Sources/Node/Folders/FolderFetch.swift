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

  /// How long nothing may come: the other node takes a checkpoint first.
  private static let silenceNs: Int64 = 120_000_000_000
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

  /// Ends it, in about a second.
  func stop() {
    isStopping.store(true, ordering: .releasing)
    wake.raise()
    thread?.join()
  }

  private func run() {
    for source in sources.shuffled() where !isStopping.load(ordering: .acquiring) {
      if fetch(from: source) { return }
    }
    log(.warning, "no_folder", "no node has given its folder of shard \(number); it is asked for again")
    wake.wait(timeoutNs: Self.pauseNs)
  }

  private func fetch(from source: KnownNode) -> Bool {
    guard let address = NodeAddress(NodePlaces(source.address).line), let link = NodeLink(to: address, settings),
      let begun = link.ask(NodeLink.copyLine(ofShard: number, for: note, settings))
    else { return false }
    log(.info, "folder_begun", "copies the folder of shard \(number) from node \(source.name)")
    let reader = FolderArchiveReader(storage)
    var failure: StorageError?
    func take(_ bytes: UnsafeRawBufferPointer) {
      do throws(StorageError) { if failure == nil { try reader.take(bytes) } } catch { failure = error }
    }
    begun.withUnsafeBytes(take)
    var heardNs = SystemClock.bootNs()
    while failure == nil, !reader.isFinished, link.isOpen, !isStopping.load(ordering: .acquiring),
      SystemClock.bootNs() - heardNs < Self.silenceNs
    {
      link.receive(withinNs: 500_000_000) { bytes in
        heardNs = SystemClock.bootNs()
        take(bytes)
      }
    }
    guard !reader.isFinished else {
      log(.info, "folder_copied", "has the folder of shard \(number) from node \(source.name)")
      return true
    }
    let why = failure.map(String.init(describing:)) ?? "node \(source.name) has ended it"
    log(.warning, "folder_not_copied", "the folder of shard \(number) did not come whole: \(why)")
    return false
  }
}
