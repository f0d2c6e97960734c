// `check`: reads a data folder and says whether a server would start on it; with `--salvage`, writes what can be saved of it into
// another one.

import DataFiles
import DecisionLog
import Engine
import Foundation
import Journal
import Platform
import Primitives
import RabbitMQFrontEnd
import RocketMQFrontEnd

extension Command {
  static let check = Command(
    name: "check", positional: ["DIR"],
    summary: """
      Verify a data folder at rest: every length and checksum. Changes nothing.
      Exit status: 0 good, 1 damaged, 3 not checked (a server uses the folder, or it is none of ours).
      With --salvage, what can be saved is written into the new folder OUT, and what is lost is listed: 0 nothing, 1 something,
      3 nothing could be saved.
      """,
    options: [
      .flag("quiet", "say only what is damaged"),
      .value("salvage", "OUT", "write what can be saved into a new folder"),
    ]
  ) { options in
    let folder = options.arguments[0]
    let storage: DiskStorage
    do throws(StorageError) {
      storage = try DiskStorage(root: folder, readOnly: true)
      // Files that a server is writing would look damaged.
      do throws(StorageError) { try storage.lock() } catch  where error.kind == .notFound {}
    } catch {
      printError("escapement check: \(error)")
      return notChecked
    }
    if let out = options.text("salvage") { return salvage(storage, into: out) }
    let openLog: OpenLog = { identity throws(LogError) in try JournalLog.toVerify(storage, identity: identity) }
    let report = FolderCheck.run(storage, openLog: openLog, words: words)
    guard report.isDataFolder else {
      printError("escapement check: \(folder) is not an Escapement folder: there is neither a checkpoint nor a journal")
      return notChecked
    }
    if !options.has("quiet") { for finding in report.findings { Output.line(finding) } }
    for damage in report.damages { Output.line("DAMAGED \(damage)") }
    if report.damages.isEmpty { Output.line("good") }
    return report.damages.isEmpty ? 0 : 1
  }

  private static let notChecked: Int32 = 3

  /// What people call a topic.
  @Sendable private static func words(_ topic: String) -> String {
    RabbitMQ.words(forTopic: topic) ?? TopicNames.words(for: topic) ?? "topic \(topic)"
  }

  private static func salvage(_ storage: DiskStorage, into out: String) -> Int32 {
    let unfinished = UnfinishedFolder(path: URL(fileURLWithPath: out).standardizedFileURL.path)
    do {
      var begun: DiskStorage?
      let begin = { () throws(StorageError) -> any Storage in
        let target = try unfinished.begin()
        begun = target
        return target
      }
      let openLog: OpenLog = { identity throws(LogError) in
        guard let begun else { preconditionFailure("a log is opened in a folder that has begun") }
        return try JournalLog.toVerify(begun, identity: identity)
      }
      let report = try Salvage.run(
        storage, begin: begin, openLog: openLog, words: words, time: { TimeText.time(ms: $0) })
      guard let target = begun else { preconditionFailure("what was saved is in a folder") }
      for line in report.lost { Output.line("LOST \(line)") }
      if report.needsStart { try startOnce(target) }
      let check = FolderCheck.run(target, openLog: openLog)
      guard check.damages.isEmpty else {
        for damage in check.damages { printError("escapement check: what was written is not good: \(damage)") }
        return notChecked
      }
      try unfinished.finish()
      Output.line(report.lost.isEmpty ? "nothing is lost; \(out) is good" : "the rest is saved; \(out) is good")
      return report.lost.isEmpty ? 0 : 1
    } catch {
      printError("escapement check: nothing was saved: \(error)")
      return notChecked
    }
  }

  /// Opens a folder whose journal has gaps, and closes it: its checkpoint does not need the journal any more.
  private static func startOnce(_ storage: DiskStorage) throws {
    var opened: JournalLog?
    let surroundings = EngineSurroundings(storage: storage, io: InlineIOQueue(storage: storage)) {
      identity throws(LogError) in
      let log = try JournalLog(
        storage, identity: identity, random: SystemRandom.storeID, clock: SystemClock.bootNs, wake: {}, notify: {})
      opened = log
      return log
    }
    var settings = EngineSettings()
    settings.salvages = true
    let engine = try Engine.open(surroundings, settings, nowNs: SystemClock.wallNs())
    guard let log = opened else { preconditionFailure("an engine that is open has opened its log") }
    engine.stop { while log.inFlightBytes > 0, log.failure == nil { _ = log.turn() } }
    log.stop()
    while log.turn() != .finished {}
    if let failure = engine.broker.failure { throw failure }
  }
}
