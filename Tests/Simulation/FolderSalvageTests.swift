// What is saved of a damaged folder: one bad byte costs one message, and everything else is in the new folder as it was.
//
// Leaves to others: damage of every kind, by the program (EndToEnd/salvage.py); damage of the journal at a start (SalvageTests).

import Broker
import DataFiles
import DecisionLog
import Engine
import Journal
import Primitives
import SimulatedDisk
import Testing

@Suite("salvage of a folder")
struct FolderSalvageTests {
  private final class Run: PowerCutRun {
    private(set) var got: [TopicOffset] = []

    /// One segment, and slices that far messages stay in.
    override var settings: EngineSettings {
      var settings = super.settings
      settings.broker.segmentBytes = 1 << 20
      settings.broker.retentionMsDefault = .max
      return settings
    }

    override func received(_ delivery: Delivery) { got.append(delivery.record.sequence) }

    func with<R>(_ text: String, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
      try Array(text.utf8).withUnsafeBytes(body)
    }

    func schedule(_ id: String) throws {
      _ = try with("far") { topic in
        try with(id) {
          try broker.schedule(
            ScheduleCommand(topic: topic, parts: MessageParts(id: $0, body: $0), due: .delay(3_600_000), connection: 1))
        }
      }
    }

    func cancel(_ id: String) throws -> CancelOutcome {
      try with("far") { topic in try with(id) { try broker.cancel(topic: topic, id: $0).value } }
    }

    func publish(_ body: String) throws {
      _ = try with("log") { topic in
        try with(body) {
          try broker.publish(topic: topic, MessageParts(id: UnsafeRawBufferPointer(rebasing: $0[..<0]), body: $0))
        }
      }
    }

    /// Salvages its disk, and goes on with what was saved.
    func salvage() throws -> SalvageReport {
      let saved = SimulatedStorage()
      let disk = disk
      let begin: () throws(StorageError) -> any Storage = { saved }
      let report = try Salvage.run(
        disk, begin: begin,
        openLog: { identity throws(LogError) in try JournalLog.toVerify(saved, identity: identity) }, words: { $0 },
        time: { "\($0)" })
      for path in disk.paths { try disk.remove(path) }
      for path in saved.paths { disk.place(path, saved.contents(path)!) }
      return report
    }
  }

  /// A stopped server with messages far ahead, of which one is cancelled, and released ones.
  private func run(between damage: @escaping (Run) throws -> Void) throws -> Run {
    let run = Run(seed: 1, crashAt: nil)
    run.checkpointBytes = 1 << 20
    run.run(turns: 0)
    run.turn {
      for number in 0..<10 { try run.schedule("far-\(number)") }
      for number in 0..<10 { try run.publish("log-\(number)") }
    }
    run.rest(turns: 3, ms: 1)
    run.turn { #expect((try? run.cancel("far-3")) == .cancelled) }
    run.rest(turns: 3, ms: 1)
    var failure: (any Error)?
    run.restart(cleanly: true, salvaging: false) { _ in
      do { try damage(run) } catch { failure = error }
    }
    if let failure { throw failure }
    return run
  }

  /// The one file under a folder, and where in it these bytes stand first.
  private func place(of text: String, _ folder: String, _ disk: SimulatedStorage) throws -> (path: String, at: Int) {
    let needle = Array(text.utf8)
    for path in disk.paths where path.hasPrefix(folder) {
      let bytes = disk.contents(path)!
      if let at = bytes.indices.first(where: { bytes[$0...].starts(with: needle) }) { return (path, at) }
    }
    throw CancellationError()
  }

  @Test("a released message that is damaged is over for everybody, and those behind it are not")
  func releasedMessage() throws {
    var report: SalvageReport?
    let run = try run { run in
      let (path, at) = try place(of: "log-4", "topics/", run.disk)
      run.disk.flip(bit: 1, of: path, at: at)
      report = try run.salvage()
    }
    #expect(
      report?.lost.count == 1 && report?.lost.first?.contains("from offset 4") == true && report?.needsStart == false)
    var options = ConsumerOptions()
    options.from = .earliest
    run.turn {
      _ = try run.with("log") { try run.broker.subscribe(topic: $0, group: $0, sub: 1, connection: 1, options) }
    }
    run.rest(turns: 4, ms: 1)
    #expect(run.got == [0, 1, 2, 3, 5, 6, 7, 8, 9] && run.complaints == [])
  }

  @Test("a mark of a cancel that is damaged is mended: the message does not come back")
  func cancelled() throws {
    var report: SalvageReport?
    let run = try run { run in
      let (path, _) = try place(of: "far-3", "delay/", run.disk)
      // The last bytes of the slice are the mark.
      run.disk.flip(bit: 1, of: path, at: run.disk.contents(path)!.count - MessageRecord.headerLength + 4)
      report = try run.salvage()
    }
    #expect(report?.lost.count == 1 && report?.lost.first?.contains("could be mended") == true)
    #expect(run.broker.gauges.pending == 9 && run.complaints == [])
  }

  @Test("who salvages a folder with a damaged journal is told that it must be started once with salvaging")
  func journal() throws {
    let run = Run(seed: 2, crashAt: nil)
    run.checkpointBytes = 1 << 20
    run.run(turns: 0)
    for number in 0..<20 {
      run.turn { try run.schedule("far-\(number)") }
      run.rest(turns: 1, ms: 10)
    }
    var report: SalvageReport?
    run.restart(cleanly: false, salvaging: true) { disk in
      guard let (path, at) = try? place(of: "far-7", "journal/", disk) else { return }
      disk.flip(bit: 2, of: path, at: at)
      report = try? run.salvage()
    }
    #expect(report?.needsStart == true && report?.lost.count == 1)
    #expect(run.broker.gauges.pending == 19 && run.complaints == [])
  }
}
