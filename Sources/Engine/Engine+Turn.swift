// The order of a turn, for the server's loop and for simulations alike.

import DataFiles
import Primitives

extension Engine {
  /// One turn: due messages are released, finished disk work is taken back, commands are done, consumers are served, and the
  /// records are handed to the log.
  ///
  /// - Parameters:
  ///   - nowNs: service time.
  ///   - finished: gives the tasks that the I/O lanes have finished; asked once, after the turn has begun.
  ///   - isWaitingForSpace: whether a lane waits for disk space.
  ///   - commands: does what clients ask; gives whether an answer promises durability.
  /// - Returns: the last record of the turn: what must be settled before all of it may be shown. `broker.effects` are ready.
  public func turn(
    nowNs: Int64, finished: () -> [IOTask], isWaitingForSpace: @autoclosure () -> Bool, commands: () -> Bool
  ) -> Sequence {
    beginTurn(nowNs: nowNs)
    for task in finished() { finish(task) }
    if isWaitingForSpace() { broker.isDiskFull = true }
    return endTurn(mustSync: commands())
  }
}
