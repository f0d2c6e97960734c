// A data folder as version 1 of the formats wrote it, kept for ever: what it holds must stay readable, and no damage to it
// may go unnoticed.
//
// `Fixtures/format-1` was left by a server that was killed behind its checkpoint: a far message, a cancelled one, a topic of two
// segments with a group that has acknowledged, refused and open deliveries, a half message, a queue with a message.

import Engine
import Foundation
import Primitives
import SimulatedDisk
import Testing

@Suite("format version 1")
struct FormatTests {
  private static let nowMs: UnixMs = 1_900_000_000_000

  static func fixture() throws -> SimulatedStorage {
    let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/format-1")
    let disk = SimulatedStorage()
    for name in try FileManager.default.subpathsOfDirectory(atPath: root.path) {
      let file = root.appending(path: name)
      if try file.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile == true {
        disk.place(name, Array(try Data(contentsOf: file)))
      }
    }
    return disk
  }

  static func digest(_ disk: SimulatedStorage) throws -> [String] {
    var settings = EngineSettings()
    settings.reserveBytes = 0
    settings.minFreeBytes = 0
    settings.broker.segmentBytes = 4096
    let time = SimulatedTime(ms: nowMs)
    return try SimulatedMachine(disk: disk, settings: settings, time: time, seed: 1).broker.digest()
  }

  @Test("is read as it was written")
  func isRead() throws {
    let lines = try Self.digest(Self.fixture())
    #expect(
      lines.filter { line in
        ["watermark", "topic", "group", "out", "held"].contains { line.hasPrefix("\($0) ") }
      } == [
        "watermark 0 0", "topic 2 rabbitmq/queue/q 0 1 0", "group 1 queue 0", "topic 1 t 0 41 2", "group 0 g 5",
        "out 1 1 waiting 0", "out 4 1 ready 0", "held 50176 1 pg 0",
      ])
    #expect(lines.count { $0.hasPrefix("pending") } == 2)
  }

  @Test("passes the check of a folder")
  func passesCheck() throws {
    let report = FolderCheck.run(try Self.fixture())
    #expect(report.isDataFolder && report.damages == [])
    #expect(report.findings.contains("held back until their owners decide: 1 message"))
  }

  /// A flipped bit is reported by the check, or it lies where nothing counts: then a start finds exactly what there was.
  @Test("no flipped bit goes unnoticed", arguments: 0..<8)
  func flips(_ bit: Int) throws {
    let whole = try Self.fixture()
    let expected = try Self.digest(whole.copy())
    for path in whole.paths where !path.hasSuffix(".index") {
      let content = whole.contents(path) ?? []
      for offset in stride(from: bit * 3, to: content.count, by: 89) where content[offset] != 0 {
        let damaged = whole.copy()
        damaged.flip(bit: bit, of: path, at: offset)
        let report = FolderCheck.run(damaged)
        let isReported = !report.damages.isEmpty
        // The very last batch of the journal may be cut as a torn tail, which the check says as a finding.
        let isCut = report.findings.contains { $0.contains("torn tail") }
        let found = try? Self.digest(damaged)
        #expect(isReported || found == expected || isCut, "\(path), byte \(offset), bit \(bit)")
        if isReported, !path.hasPrefix("journal/") {
          #expect(found == nil || found == expected, "\(path), byte \(offset)")
        }
      }
    }
  }
}
