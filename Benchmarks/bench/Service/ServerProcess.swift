// The real server as a child process in a folder of its own, and what the kernel knows about it.
//
// Holds: the folder is new and is removed by `stop`; the child is always waited for.
// Leaves to others: talking to it (LineConnection).

import Glibc
import Synchronization

final class ServerProcess {
  let folder: String
  private let binary: String
  private let fsync: String
  private(set) var port: UInt16 = 0
  private var process: pid_t = 0
  /// The child that must not be left behind when the benchmark gives up.
  fileprivate static let running = Atomic<Int32>(0)

  /// Starts the server of `flags` with extra arguments; ends the program when it does not start.
  ///
  /// - Parameter wire: the protocol whose port is wanted, as the server calls it; nil for the line protocol.
  init(_ flags: Flags, _ extra: [String] = [], wire: String? = nil) {
    binary = flags.text("binary").isEmpty ? Self.besideThisProgram() : flags.text("binary")
    fsync = flags.text("fsync")
    var template = Array("\(flags.text("folder"))/escapement-bench-XXXXXX".utf8CString)
    guard let path = mkdtemp(&template) else { fail("cannot make a folder in \(flags.text("folder"))") }
    folder = String(cString: path)
    start(extra, wire: wire)
  }

  private static func besideThisProgram() -> String {
    var path = [CChar](repeating: 0, count: 4096)
    let count = readlink("/proc/self/exe", &path, path.count - 1)
    precondition(count > 0, "a running program has a path")
    let text = String(decoding: path[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return text.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
      + "/escapement"
  }

  /// Starts the server on the folder, which may hold data of an earlier run; returns when it listens.
  func start(_ extra: [String] = [], wire: String? = nil) {
    var pipe: [Int32] = [0, 0]
    precondition(Glibc.pipe(&pipe) == 0, "a pipe can be made")
    let arguments =
      [binary, "serve", "--data", "\(folder)/data", "--listen", "127.0.0.1:0", "--fsync", fsync] + extra
    process = Self.spawn(arguments, output: pipe[1], closing: pipe[0])
    Self.running.store(process, ordering: .relaxed)
    close(pipe[1])
    var text = Self.line(pipe[0])
    while let wire, !text.isEmpty, !text.hasSuffix(" for \(wire)\n") { text = Self.line(pipe[0]) }
    close(pipe[0])
    guard let number = text.split(separator: ":").last.flatMap({ UInt16($0.filter(\.isNumber)) }) else {
      fail("the server did not start: \(text)")
    }
    port = number
  }

  /// The next line, with its end; empty when there is none.
  private static func line(_ descriptor: Int32) -> String {
    var text = ""
    var byte: UInt8 = 0
    while byte != UInt8(ascii: "\n"), read(descriptor, &byte, 1) == 1 {
      text.unicodeScalars.append(Unicode.Scalar(byte))
    }
    return text
  }

  private static func spawn(_ arguments: [String], output: Int32, closing: Int32) -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, output, 1)
    posix_spawn_file_actions_addclose(&actions, closing)
    var list: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
    list.append(nil)
    defer { for text in list { free(text) } }
    var child: pid_t = 0
    guard posix_spawn(&child, arguments[0], &actions, nil, list, environ) == 0 else {
      fail("cannot start \(arguments[0])")
    }
    return child
  }

  /// Ends the server with `signal` and waits for it; true when it said that all went well.
  @discardableResult func end(_ signal: Int32 = SIGTERM) -> Bool {
    kill(process, signal)
    var status: Int32 = 0
    waitpid(process, &status, 0)
    Self.running.store(0, ordering: .relaxed)
    return status == 0
  }

  /// Ends the server and removes its folder.
  func stop() {
    if !end() { say("  the server did not end well") }
    var status: Int32 = 0
    waitpid(Self.spawn(["/bin/rm", "-rf", folder], output: 1, closing: -1), &status, 0)
  }

  /// Processor time of all its threads so far.
  var cpuNs: Int64 {
    var clock = clockid_t()
    var time = timespec()
    precondition(clock_getcpuclockid(process, &clock) == 0 && clock_gettime(clock, &time) == 0, "the server runs")
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }

  /// Resident memory in bytes.
  var residentBytes: Int {
    guard let file = fopen("/proc/\(process)/statm", "r") else { return 0 }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    guard fgets(&line, 256, file) != nil else { return 0 }
    let words = String(decoding: line.map { UInt8(bitPattern: $0) }, as: UTF8.self).split(separator: " ")
    return (words.count > 1 ? Int(words[1]) ?? 0 : 0) * Int(getpagesize())
  }

  /// Bytes on disk of everything in its folder.
  var folderBytes: Int {
    guard let pipe = popen("du -sk '\(folder)'", "r") else { return 0 }
    defer { pclose(pipe) }
    var line = [CChar](repeating: 0, count: 4096)
    guard fgets(&line, 4096, pipe) != nil else { return 0 }
    let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return (text.split(separator: "\t").first.flatMap { Int($0) } ?? 0) * 1024
  }

  /// Lets somebody attach a profiler.
  func pause(_ flags: Flags) {
    guard flags.number("pause") > 0 else { return }
    say("  server process \(process)")
    sleep(UInt32(flags.number("pause")))
  }
}

/// Ends the benchmark, and the server it runs, with a reason. The data folder stays to be looked at.
func fail(_ reason: String) -> Never {
  say("bench: \(reason)")
  let server = ServerProcess.running.load(ordering: .relaxed)
  if server > 0 { kill(server, SIGKILL) }
  exit(1)
}
