// A program that the benchmark starts, and what the kernel knows about it.
//
// Holds: it leads a process group of its own, so that what it starts ends with it; it is always waited for; none is left when the
// benchmark gives up (`fail`).
// Leaves to others: talking to it.

import Glibc
import Platform
import Synchronization

final class ChildProcess: @unchecked Sendable {
  /// The process groups that run.
  private static let running = Mutex<Set<pid_t>>([])

  let id: pid_t

  /// Starts a program.
  ///
  /// - Parameters:
  ///   - arguments: the first is its path.
  ///   - environment: `NAME=VALUE`, beside those of the benchmark.
  ///   - output: where its standard output and standard error go; nil leaves them as they are.
  init(_ arguments: [String], environment: [String] = [], output: (out: Int32, error: Int32)? = nil) {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    if let output {
      posix_spawn_file_actions_adddup2(&actions, output.out, 1)
      posix_spawn_file_actions_adddup2(&actions, output.error, 2)
    }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // The benchmark blocks signals to wait for them (`watchSignals`); its children do not.
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK))
    var inherited: [String] = []
    var next = environ
    while let entry = next.pointee {
      inherited.append(String(cString: entry))
      next += 1
    }
    var child: pid_t = 0
    let result = Self.withStrings(arguments) { argumentList in
      // The first of two variables of one name counts.
      Self.withStrings(environment + inherited) {
        posix_spawnp(&child, arguments[0], &actions, &attributes, argumentList, $0)
      }
    }
    guard result == 0 else { fail("cannot start \(arguments[0]): \(String(cString: strerror(result)))") }
    id = child
    _ = Self.running.withLock { $0.insert(child) }
  }

  private static func withStrings(
    _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Int32
  ) -> Int32 {
    var list: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) }
    list.append(nil)
    defer { for text in list { free(text) } }
    return body(list)
  }

  /// Runs a program to its end, its output hidden; gives its exit status.
  @discardableResult static func run(_ arguments: [String], environment: [String] = []) -> Int32 {
    let null = open("/dev/null", O_WRONLY | O_CLOEXEC)
    defer { close(null) }
    return ChildProcess(arguments, environment: environment, output: (null, null)).wait()
  }

  /// Runs a program to its end; gives what it printed.
  static func output(_ arguments: [String]) -> String {
    let pipe = Self.pipe()
    let null = open("/dev/null", O_WRONLY | O_CLOEXEC)
    defer { close(null) }
    let child = ChildProcess(arguments, output: (pipe.write, null))
    close(pipe.write)
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while case let count = read(pipe.read, &piece, piece.count), count > 0 { bytes += piece[..<count] }
    close(pipe.read)
    _ = child.wait()
    return String(decoding: bytes, as: UTF8.self)
  }

  /// A pipe that children do not inherit by themselves.
  static func pipe() -> (read: Int32, write: Int32) {
    var ends: [Int32] = [0, 0]
    precondition(Glibc.pipe(&ends) == 0, "a pipe can be made")
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    return (ends[0], ends[1])
  }

  /// Waits until it ends by itself; gives its exit status, -1 when a signal ended it.
  func wait() -> Int32 {
    var status: Int32 = 0
    while waitpid(id, &status, 0) < 0, errno == EINTR {}
    _ = Self.running.withLock { $0.remove(id) }
    return status & 0x7F == 0 ? status >> 8 & 0xFF : -1
  }

  /// Ends it with `signal` and waits for it; true when it said that all went well. What it started and left behind is killed.
  @discardableResult func end(_ signal: Int32 = SIGTERM) -> Bool {
    kill(id, signal)
    let status = wait()
    kill(-id, SIGKILL)
    return status == 0
  }

  /// Whether it still runs.
  var isRunning: Bool {
    var information = siginfo_t()
    return waitid(P_PID, id_t(id), &information, WEXITED | WNOHANG | WNOWAIT) == 0 && information.si_signo == 0
  }

  /// Processor time of all its threads so far.
  var cpuNs: Int64 {
    var clock = clockid_t()
    var time = timespec()
    precondition(clock_getcpuclockid(id, &clock) == 0 && clock_gettime(clock, &time) == 0, "the process runs")
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }

  /// Resident memory in bytes.
  var residentBytes: Int {
    guard let file = fopen("/proc/\(id)/statm", "r") else { return 0 }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    guard fgets(&line, 256, file) != nil else { return 0 }
    let words = String(decoding: line.map { UInt8(bitPattern: $0) }, as: UTF8.self).split(separator: " ")
    return (words.count > 1 ? Int(words[1]) ?? 0 : 0) * Int(getpagesize())
  }

  /// Ends the benchmark, and all that it runs, when somebody asks it to. To be called before any thread is started.
  static func watchSignals() {
    var wanted = sigset_t()
    sigemptyset(&wanted)
    for signal in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&wanted, signal) }
    pthread_sigmask(SIG_BLOCK, &wanted, nil)
    let awaited = wanted
    _ = try? Thread(name: "signals") {
      var (awaited, signal) = (awaited, Int32(0))
      sigwait(&awaited, &signal)
      fail("stopped by signal \(signal)")
    }
  }

  /// Kills all that run.
  static func endAll() { running.withLock { for child in $0 { kill(-child, SIGKILL) } } }
}

/// Ends the benchmark, and the programs it runs, with a reason. Data folders stay to be looked at.
func fail(_ reason: String) -> Never {
  say("bench: \(reason)")
  ChildProcess.endAll()
  exit(1)
}
