// The journal with a thread of its own and a real disk: what is reported durable is in the files.

import Journal
import Platform
import Primitives
import Testing

@Suite struct ThreadedLogTests {
  @Test("a loop and a journal thread, with a real disk between them")
  func threaded() throws {
    let root = "/tmp/escapement-journal-\(SystemRandom.next())"
    let storage = try DiskStorage(root: root)
    defer { removeAll(storage) }
    let work = try EventSignal()
    let done = try EventSignal()
    let log = try openLog(
      storage, segmentBytes: 16 << 10, clock: SystemClock.bootNs, wake: { work.raise() }, notify: { done.raise() })
    let thread = try Thread(name: "journal") { log.run { work.wait(timeoutNs: $0) } }
    var submitted: Sequence = 0
    for _ in 0..<60 {
      let buffer = log.takeBuffer()
      for _ in 0..<20 {
        buffer.begin(3)
        buffer.append(buffer.nextSequence)
        buffer.append(UInt64(0))
        submitted = buffer.finish()
      }
      log.submit(buffer, mustSync: true)
      while log.durableSequence + 60 < submitted { done.wait(timeoutNs: -1) }
    }
    while log.durableSequence < submitted { done.wait(timeoutNs: -1) }
    log.stop()
    thread.join()
    #expect(log.failure == nil && log.counters.syncs <= 61 && log.inFlightBytes == 0)
    var expected: Sequence = 1
    let again = try JournalReader.recover(storage: storage, from: 1, store: store) { sequence, kind, payload in
      #expect(sequence == expected && kind == 3 && payload.loadUnaligned(as: UInt64.self) == sequence)
      expected += 1
    }
    #expect(again.nextSequence == submitted + 1 && again.records == 1200 && again.segments.count > 1)
  }

  private func removeAll(_ storage: DiskStorage) {
    for name in (try? storage.list("journal")) ?? [] { try? storage.remove("journal/\(name)") }
    try? storage.removeDirectory("journal")
    try? storage.removeDirectory("")
  }
}
