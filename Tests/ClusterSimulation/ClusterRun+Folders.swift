// A node that needs the folder of another one gets it: a snapshot, its archive in pieces, a folder that is opened again.
//
// Holds: both nodes may be paused, killed or cut off at any time; a copy that does not come to its end is begun anew.

import Cluster
import Engine
import Primitives
import SimulatedDisk
import SimulatedStream

extension ClusterRun {
  private static let retryNs: Int64 = 300_000_000
  private static let patienceNs: Int64 = 8_000_000_000

  /// Asks some node for its folder, again and again until one has come.
  func needsFolder(_ node: SimulatedNode) {
    guard let shard = node.shard, case .needsFolder = shard.state else { return }
    let source = nodes.filter { $0 !== node && $0.isRunning && $0.engine?.broker.failure == nil }
      .randomElement(using: &world.random)
    node.folderAttempts += 1
    let attempt = node.folderAttempts
    let hasBegun = source?.engine.map { beginCopy(of: $0, to: node, attempt: attempt) } ?? false
    node.folderHeardNs = world.nowNs
    giveUpLater(node, attempt, ns: hasBegun ? Self.patienceNs : Self.retryNs)
  }

  /// Asks anew when nothing has come for so long.
  private func giveUpLater(_ node: SimulatedNode, _ attempt: Int, ns patienceNs: Int64) {
    let shard = node.shard
    world.after(ns: node.folderHeardNs + patienceNs - world.nowNs) { [weak self, weak node] in
      guard let self, let node, node.folderAttempts == attempt, node.shard === shard else { return }
      if world.nowNs - node.folderHeardNs < patienceNs { return giveUpLater(node, attempt, ns: patienceNs) }
      needsFolder(node)
    }
  }

  private func beginCopy(of engine: Engine, to node: SimulatedNode, attempt: Int) -> Bool {
    let copy = SimulatedStorage(seed: world.random.next())
    let begin: () throws(StorageError) -> any Storage = { copy }
    return engine.makeSnapshot(SnapshotTarget(open: begin, finish: {})) { [weak self, weak node] result in
      guard let self, let node, case .success = result else { return }
      do throws(StorageError) {
        let writer = try FolderArchiveWriter(copy)
        // The leader must know before the bytes leave.
        tellLeader(
          CheckpointNote(
            node: node.name, address: "\(node.name):1", streamSequence: writer.mark.position.streamSequence))
        send(Carriage(writer, FolderArchiveReader(node.disk), world), to: node, attempt: attempt)
      } catch {
        ledger.complain("a snapshot cannot be sent: \(error)")
      }
    }
  }

  private func tellLeader(_ note: CheckpointNote) {
    for node in nodes where node.isLeading { node.shard?.log.note(note) }
  }

  /// Sends a block now, cut anywhere, and the rest later.
  private func send(_ carriage: Carriage, to node: SimulatedNode, attempt: Int) {
    guard node.folderAttempts == attempt, let shard = node.shard, case .needsFolder = shard.state else { return }
    guard node.isRunning else {
      world.after(ns: Self.retryNs) { [weak self] in self?.send(carriage, to: node, attempt: attempt) }
      return
    }
    do throws(StorageError) {
      if let block = try carriage.next(world) {
        let cut = Int.random(in: 0...block.count, using: &world.random)
        node.folderHeardNs = world.nowNs
        for piece in [block[..<cut], block[cut...]] { try carriage.reader.take(Array(piece)) }
        world.after(ns: world.draw(10_000...2_000_000)) { [weak self] in
          self?.send(carriage, to: node, attempt: attempt)
        }
        return
      }
      // Of an archive that was spoiled nothing is used; it is asked for anew.
      guard !carriage.isSpoiled || carriage.reader.isFinished else { return }
      guard carriage.reader.isFinished, !carriage.isSpoiled else {
        return ledger.complain("an archive ends before its end, or was spoiled and taken")
      }
      try shard.reopen()
      copies += 1
    } catch {
      if !carriage.isSpoiled { ledger.complain("a folder cannot be taken over: \(error)") }
    }
  }
}

/// An archive on its way, which may be spoiled.
private final class Carriage {
  private let writer: FolderArchiveWriter
  let reader: FolderArchiveReader
  private(set) var isSpoiled = false
  /// So many blocks come as they are; nil for all.
  private var goodBlocks: Int?

  init(_ writer: FolderArchiveWriter, _ reader: FolderArchiveReader, _ world: SimulatedWorld) {
    self.writer = writer
    self.reader = reader
    goodBlocks = world.isDrawn(oneIn: 3) ? Int(world.draw(0...40)) : nil
  }

  /// The next block as it arrives: one loses a bit, or does not come.
  func next(_ world: SimulatedWorld) throws(StorageError) -> [UInt8]? {
    guard var block = try writer.next() else { return nil }
    guard let left = goodBlocks else { return block }
    goodBlocks = left > 0 ? left - 1 : nil
    guard left == 0 else { return block }
    isSpoiled = true
    if world.isDrawn(oneIn: 2) { return try next(world) }
    block[Int.random(in: 0..<block.count, using: &world.random)] ^= 1
    return block
  }
}

extension FolderArchiveReader {
  func take(_ bytes: [UInt8]) throws(StorageError) {
    var failure: StorageError?
    bytes.withUnsafeBytes { bytes in
      do throws(StorageError) { try take(bytes) } catch { failure = error }
    }
    if let failure { throw failure }
  }
}
