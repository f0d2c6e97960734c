// A node of a cluster: a loop for each shard, and the front that clients come to.
//
// Leaves to others: everything but their beginning and their end.

import Platform
import Primitives
import Server

/// A node.
public final class Node {
  private let shards: [ShardLoop]
  private let front: Front
  private let notes: NoteSender
  private let log: ServerLog

  /// Opens the folders of all shards and listens.
  ///
  /// - Throws: when a folder is in use, damaged or cannot be written, or an address cannot be listened on.
  public init(_ settings: NodeSettings, log: @escaping ServerLog) throws(NodeError) {
    self.log = log
    do {
      // Before any thread begins: they inherit that the signals are blocked.
      let signals = try ProcessSignals()
      let doors = try FrontDoors(settings, log: log)
      let moves = LeaderMoves()
      let mayBegin = try NodeFolder.mayBeginLogs(in: settings.server.dataFolder)
      let shards = try (0..<settings.shards).map {
        try ShardLoop($0, settings, doors.places, moves, mayBegin: mayBegin, log: log)
      }
      self.shards = shards
      front = try Front(settings, doors, shards, signals, log: log)
      notes = try NoteSender(settings, shards)
    } catch {
      throw (error as? NodeError) ?? NodeError(description: "\(error)")
    }
  }

  /// Where it listens, in the order of the settings.
  public var addresses: [ListenAddress] { front.listeners.filter { $0.shard == nil }.map(\.address) }

  /// Serves until a signal; then gives the leadership of its shards away. Gives the exit code.
  ///
  /// - Parameter supervisor: who is told how the node is.
  public func run(supervisor: ServiceNotifier? = nil) -> Int32 {
    ProcessSettings.ignoreBrokenPipes()
    do throws(SystemError) {
      for shard in shards { try shard.start() }
      try notes.start()
      supervisor?.send("READY=1\nSTATUS=serving")
      try front.run { if supervisor?.watchdogMs != nil { supervisor?.send("WATCHDOG=1") } }
    } catch {
      log(.error, "loop_failed", "the loop stopped: \(error)")
    }
    supervisor?.send("STOPPING=1\nSTATUS=giving the leadership away")
    notes.stop()
    for shard in shards { shard.post(.stop) }
    for shard in shards { shard.join() }
    front.end()
    log(.info, "stopped", "stopped")
    return 0
  }
}
