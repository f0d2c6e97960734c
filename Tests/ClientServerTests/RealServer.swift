// The built program as a server in a process of its own, on a folder of its own; and its commands and the examples.
//
// Holds: a server is ended by its own id; it comes back on the port it had; nothing here waits on a cooperative thread.

import Dispatch
import EscapementClient
import Foundation
import Glibc
import Synchronization
import Testing

@testable import escapement

/// A built program beside the test bundle.
func built(_ name: String) -> String {
  if name == "escapement", let named = ProcessInfo.processInfo.environment["ESCAPEMENT_BIN"] { return named }
  let bundle = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
  return bundle.deletingLastPathComponent().appending(path: name).path
}

actor RealServer {
  let folder = FileManager.default.temporaryDirectory.appending(path: "escapement-test-\(UUID().uuidString.prefix(8))")
  private let flags: [String]
  private var process: ChildProcess?
  private(set) var port = 0

  private init(_ flags: [String]) { self.flags = flags }

  /// Runs `body` with a server and ends the server whatever happens.
  static func with(_ flags: String..., body: (RealServer) async throws -> Void) async throws {
    let server = RealServer(flags)
    try FileManager.default.createDirectory(at: server.folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: server.folder) }
    do {
      try await server.start()
      try await body(server)
    } catch {
      await server.end(with: SIGKILL)
      throw error
    }
    await server.end(with: SIGTERM)
    await server.end(with: SIGKILL)
  }

  nonisolated var data: String { folder.appending(path: "data").path }
  var address: String { "127.0.0.1:\(port)" }

  func start() async throws {
    let process = try ChildProcess(
      path: built("escapement"),
      arguments: ["serve", "--data", data, "--listen", "127.0.0.1:\(port)", "--amqp", "off"] + flags,
      log: folder.appending(path: "log").path)
    self.process = process
    let line = await blocking { process.readLine(timeoutMs: 60_000) }
    process.discardOutput()
    port = try #require(line?.split(separator: ":").last.flatMap { Int($0) }, "the server said \(line ?? "nothing")")
  }

  func end(with signal: Int32) async {
    guard let process else { return }
    if await blocking({ process.end(with: signal, timeoutMs: 20_000) }) { self.process = nil }
  }

  /// A connected client that comes back quickly.
  func client(onEvent: (@Sendable (ConnectionEvent) -> Void)? = nil) async throws -> EscapementClient {
    let client = EscapementClient(
      port: port, configuration: Configuration(reconnect: ReconnectBackoff(initialMs: 5, maxMs: 50), onEvent: onEvent))
    try await client.connect()
    return client
  }
}

/// Does what blocks on a thread that may.
func blocking<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result {
  await withCheckedContinuation { continuation in
    DispatchQueue.global().async { continuation.resume(returning: body()) }
  }
}

struct Outcome: Sendable {
  var status: Int32
  var output: String
  var errors: String
}

/// Runs a built program to its end. What it prints goes through files, so that no pipe can fill up.
func run(_ program: String, _ arguments: [String]) async throws -> Outcome {
  let folder = FileManager.default.temporaryDirectory.appending(path: "escapement-run-\(UUID().uuidString)")
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: folder) }
  let files = ["out", "err"].map { folder.appending(path: $0) }
  let process = Process()
  process.executableURL = URL(fileURLWithPath: built(program))
  process.arguments = arguments
  process.standardInput = FileHandle.nullDevice
  for file in files { try Data().write(to: file) }
  process.standardOutput = try FileHandle(forWritingTo: files[0])
  process.standardError = try FileHandle(forWritingTo: files[1])
  let status: Int32 = try await withCheckedThrowingContinuation { continuation in
    process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
    do { try process.run() } catch { continuation.resume(throwing: error) }
  }
  let texts = try files.map { String(decoding: try Data(contentsOf: $0), as: UTF8.self) }
  return Outcome(status: status, output: texts[0], errors: texts[1])
}
