// Which seeds a test runs, and how a failing one is told.

import Foundation
import Testing

/// The seeds of a run: `ESCAPEMENT_SEED` picks one, `ESCAPEMENT_SEEDS` says how many times the usual number.
public enum Seeds {
  /// The first `count` of them.
  public static func some(_ count: Int) -> [UInt64] {
    let environment = ProcessInfo.processInfo.environment
    if let one = environment["ESCAPEMENT_SEED"].flatMap(UInt64.init) { return [one] }
    let factor = environment["ESCAPEMENT_SEEDS"].flatMap(Int.init) ?? 1
    return (1...UInt64(count * max(1, factor))).map { $0 }
  }

  /// How to see a failure again: `test` names the suite and the test, `file` the target that they are in.
  public static func replay(_ seed: UInt64, _ test: String, file: String = #fileID) -> Comment {
    let target = file.prefix { $0 != "/" }
    return "run again with: ESCAPEMENT_SEED=\(seed) swift test --filter \(target).\(test)"
  }
}
