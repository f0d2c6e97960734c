// The demo's server: this very program, started as `serve` in a process of its own.
//
// Holds: at most one process at a time; it is addressed by its own id only.

import Dispatch
import Foundation
import Glibc

struct DemoServerError: Error, CustomStringConvertible {
  var description: String
}

actor DemoServer {
  // A first start takes some 50 ms; this is for machines that are busy with other things.
  private static let startMsMax: Int32 = 10_000
  private static let stopMsMax = 3_000

  private let folder: URL
  private var process: ChildProcess?
  private var port = 0

  init(folder: URL) throws {
    self.folder = folder
    try FileManager.default.createDirectory(
      at: folder.appending(path: "data"), withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
  }

  var pid: Int32 { process?.pid ?? 0 }

  /// Starts the server, the second time on the same port; gives the port.
  func start() async throws -> Int {
    // The name itself, since in the child `/proc/self` would be the child.
    let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let process = try ChildProcess(
      path: program,
      arguments: ["serve", "--data", folder.appending(path: "data").path, "--listen", "127.0.0.1:\(port)"],
      log: log.path)
    self.process = process
    let prefix = "escapement listening on "
    let line = await blocking { process.readLine(timeoutMs: Self.startMsMax) }
    process.discardOutput()
    guard let line, line.hasPrefix(prefix), let address = try? Session.address(String(line.dropFirst(prefix.count)))
    else {
      await kill()
      throw DemoServerError(description: "the server did not start: \(line ?? "it said nothing")\n\(logTail)")
    }
    port = address.port
    return port
  }

  /// Ends it as a power cut would.
  func kill() async { await end(with: SIGKILL) }

  /// Asks it to end, and makes it.
  func stop() async {
    await end(with: SIGTERM)
    await end(with: SIGKILL)
  }

  private func end(with number: Int32) async {
    guard let process else { return }
    if await blocking({ process.end(with: number, timeoutMs: Self.stopMsMax) }) { self.process = nil }
  }

  private var log: URL { folder.appending(path: "server.log") }

  private var logTail: String {
    let text = (try? String(contentsOf: log, encoding: .utf8)) ?? ""
    return text.split(separator: "\n").suffix(10).joined(separator: "\n")
  }

  /// Does what blocks on a thread that may, and does it in a cancelled task too.
  private func blocking<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result {
    await withCheckedContinuation { continuation in
      DispatchQueue.global().async { continuation.resume(returning: body()) }
    }
  }
}
