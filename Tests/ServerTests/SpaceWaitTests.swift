// The I/O threads on a full disk: what is written waits for space, and the wait of a server that goes down has an end.

import DataFiles
import Platform
import Primitives
import Testing

@testable import Server

@Suite("waiting for disk space", .timeLimit(.minutes(1)))
struct SpaceWaitTests {
  private final class TaskOnAFullDisk: IOTask, @unchecked Sendable {
    override func run(_ files: OpenFiles) throws(StorageError) {
      throw StorageError(kind: .diskFull, operation: "write", path: "x", reason: "no space left")
    }
  }

  @Test("the wait of a drain ends at its time")
  func bounded() throws {
    let storage = try DiskStorage(root: "/tmp", readOnly: true)
    let io = try ThreadedIOQueue(storage, notify: try EventSignal(), log: { _, _, _ in })
    defer { io.stop() }
    io.submit(TaskOnAFullDisk(), .write)
    io.spaceWaitEndNs = SystemClock.bootNs()
    let failure = io.drain()
    #expect(
      failure?.kind == .diskFull && failure?.reason.contains("waiting for disk space") == true,
      "\(String(describing: failure))")
  }
}
