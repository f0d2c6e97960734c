// The open files of an I/O thread.

import DataFiles
import Primitives
import SimulatedDisk
import Testing

@Suite("open files")
struct OpenFilesTests {
  private func write(_ text: String, _ file: FileID, _ disk: SimulatedStorage) throws {
    try Array(text.utf8).withUnsafeBytes { try disk.write(file, at: 0, $0) }
  }

  @Test("no more are open than allowed, and the least recently used is closed first")
  func bounded() throws {
    let disk = SimulatedStorage()
    let files = OpenFiles(storage: disk, capacity: 3)
    for path in ["a", "b", "c"] { _ = try files.file(path, create: true) }
    _ = try files.file("a", create: false)
    _ = try files.file("d", create: true)
    #expect(disk.openPaths == ["a", "c", "d"])
    for number in 0..<20 { _ = try files.file("folder/\(number)", create: true) }
    #expect(disk.openPaths == ["folder/17", "folder/18", "folder/19"])
    files.closeAll()
    #expect(disk.openPaths == [])
  }

  @Test("a file that was removed and made again is a new one")
  func removed() throws {
    let disk = SimulatedStorage()
    let files = OpenFiles(storage: disk)
    try write("old", try files.file("a", create: true), disk)
    try files.remove("a")
    try files.remove("a")
    #expect(disk.openPaths == [] && disk.contents("a") == nil)
    try write("new", try files.file("a", create: true), disk)
    #expect(disk.contents("a") == Array("new".utf8))
  }
}
