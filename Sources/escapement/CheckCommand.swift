// `check`: reads a data folder and says whether a server would start on it.

import Engine
import Foundation
import Foundations
import Platform

extension Command {
  static let check = Command(
    name: "check", positional: ["DIR"], summary: "Verify a data folder: every length and checksum. Changes nothing.",
    options: [.flag("quiet", "say only what is damaged")]
  ) { options in
    let storage: DiskStorage
    do throws(StorageError) {
      storage = try DiskStorage(root: options.arguments[0], readOnly: true)
    } catch {
      printError("escapement check: \(error)")
      return 1
    }
    let report = FolderCheck.run(storage)
    if !options.has("quiet") { for finding in report.findings { Output.line(finding) } }
    for damage in report.damages { Output.line("DAMAGED \(damage)") }
    if report.damages.isEmpty { Output.line("good") }
    return report.damages.isEmpty ? 0 : 1
  }
}
