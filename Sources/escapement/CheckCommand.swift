// `check`: reads a data folder and says whether a server would start on it.

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
      """,
    options: [.flag("quiet", "say only what is damaged")]
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
    let openLog: OpenLog = { identity throws(LogError) in try JournalLog.toVerify(storage, identity: identity) }
    let report = FolderCheck.run(storage, openLog: openLog) { topic in
      RabbitMQ.words(forTopic: topic) ?? TopicNames.words(for: topic) ?? "topic \(topic)"
    }
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
}
