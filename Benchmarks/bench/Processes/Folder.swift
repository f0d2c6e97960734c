// A new folder for the files of one run.

import Glibc

enum Folder {
  /// Makes a folder below `place`.
  static func make(in place: String) -> String {
    var template = Array("\(place)/escapement-bench-XXXXXX".utf8CString)
    guard let path = mkdtemp(&template) else { fail("cannot make a folder in \(place)") }
    return String(cString: path)
  }

  static func remove(_ path: String) { ChildProcess.run(["rm", "-rf", path]) }

  /// Bytes on disk of everything in it.
  static func bytes(_ path: String) -> Int {
    (ChildProcess.output(["du", "-sk", path]).split(separator: "\t").first.flatMap { Int($0) } ?? 0) * 1024
  }

  /// The folder of this program.
  static func ofThisProgram() -> String {
    var path = [CChar](repeating: 0, count: 4096)
    let count = readlink("/proc/self/exe", &path, path.count - 1)
    precondition(count > 0, "a running program has a path")
    let text = String(decoding: path[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return text.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
  }
}
