// Starting a peer's program and waiting until it listens.

import Glibc
import Platform

enum PeerProcess {
  /// Where a program is: where Debian puts those that are not on the PATH, or whose namesake there changes to another user first; then
  /// on the PATH; nil when it is nowhere.
  static func find(_ program: String) -> String? {
    var folders =
      folders(like: "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin") + folders(like: "/usr/lib/postgresql/*/bin")
    folders += (getenv("PATH").map { String(cString: $0) } ?? "").split(separator: ":").map(String.init)
    folders += ["/usr/sbin", "/usr/local/sbin"]
    return folders.map { "\($0)/\(program)" }.first { access($0, X_OK) == 0 }
  }

  private static func folders(like pattern: String) -> [String] {
    var found = glob_t()
    defer { globfree(&found) }
    guard glob(pattern, 0, nil, &found) == 0 else { return [] }
    return (0..<Int(found.gl_pathc)).compactMap { found.gl_pathv[$0].map { String(cString: $0) } }.reversed()
  }

  /// A port that nobody has at the moment.
  static func freePort() -> UInt16 {
    do throws(SystemError) {
      let listener = try Socket.listen(host: "127.0.0.1", port: 0)
      defer { Socket.close(listener) }
      return Socket.localPort(listener)
    } catch { fail("\(error)") }
  }

  /// Starts a program whose output goes to the file `output` of `folder`, and returns when it listens on `port`.
  static func start(
    _ arguments: [String], environment: [String] = [], in folder: String, listeningOn port: UInt16
  ) -> ChildProcess {
    let output = open("\(folder)/output", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    defer { close(output) }
    // In its folder, where it may leave what it likes; `env` becomes the program.
    let child = ChildProcess(["env", "-C", folder] + arguments, environment: environment, output: (output, output))
    for _ in 0..<3600 {
      if let descriptor = try? Socket.connect(host: "127.0.0.1", port: port) {
        Socket.close(descriptor)
        return child
      }
      if !child.isRunning { fail("\(arguments[0]) ended at once; see \(folder)/output") }
      SystemClock.pause(ns: 50_000_000)
    }
    fail("\(arguments[0]) does not listen after three minutes; see \(folder)/output")
  }
}
