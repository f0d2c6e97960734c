// The real program over real sockets: every case of the black-box suite in Tests/EndToEnd, one test argument a case.
//
// Holds: a case is a process of its own (`python3 run.py --binary PATH CASE`) with a server of its own, so that cases
// share nothing; only a few run at a time, and no thread of the test process waits for them.
// Leaves to others: what a case does and expects (the Python files; their names come from `run.py --list`).

import Foundation
import Testing

@Suite("End to end")
struct EndToEndTests {
  @Test("the list of cases is complete")
  func listIsComplete() {
    #expect(Cases.all.count >= 150, "python3 run.py --list gave \(Cases.all.count) cases: \(Cases.problem)")
  }

  @Test("the contract of the line protocol", arguments: Cases.all)
  func contract(name: String) async throws {
    await Places.shared.take()
    let outcome = await Result.of { try await Runner.run(["--binary", Program.path, name]) }
    await Places.shared.give()
    let (status, output) = try outcome.get()
    #expect(status == 0, "\(output)")
  }
}

/// The names of the cases, read once from the runner.
enum Cases {
  static let listing = Result { try Runner.runToEnd(["--list"]) }

  static var all: [String] {
    guard case .success((0, let output)) = listing else { return [] }
    return output.split(separator: "\n").map(String.init)
  }

  static var problem: String { "\(listing)" }
}

/// Where the program under test is: beside the test bundle, unless `ESCAPEMENT_BIN` names another one.
enum Program {
  static let path: String = {
    if let named = ProcessInfo.processInfo.environment["ESCAPEMENT_BIN"] { return named }
    let bundle = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    return bundle.deletingLastPathComponent().appendingPathComponent("escapement").path
  }()
}

/// A few places for cases that run side by side: they mostly wait, but each has a server and a driver.
actor Places {
  static let shared = Places(free: 3)
  private var free: Int
  private var waiting: [CheckedContinuation<Void, Never>] = []

  init(free: Int) { self.free = free }

  func take() async {
    if free > 0 {
      free -= 1
    } else {
      await withCheckedContinuation { waiting.append($0) }
    }
  }

  func give() {
    if waiting.isEmpty {
      free += 1
    } else {
      waiting.removeFirst().resume()
    }
  }
}

/// Runs `python3 run.py …`; its output goes through a file, so that no pipe can fill up.
enum Runner {
  typealias Outcome = (status: Int32, output: String)

  static let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("EndToEnd/run.py").path

  static func run(_ arguments: [String]) async throws -> Outcome {
    let (process, file) = try prepare(arguments)
    defer { try? FileManager.default.removeItem(at: file) }
    let status: Int32 = try await withCheckedThrowingContinuation { continuation in
      process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
      do { try process.run() } catch { continuation.resume(throwing: error) }
    }
    return (status, try String(decoding: Data(contentsOf: file), as: UTF8.self))
  }

  static func runToEnd(_ arguments: [String]) throws -> Outcome {
    let (process, file) = try prepare(arguments)
    defer { try? FileManager.default.removeItem(at: file) }
    try process.run()
    process.waitUntilExit()
    return (process.terminationStatus, try String(decoding: Data(contentsOf: file), as: UTF8.self))
  }

  private static func prepare(_ arguments: [String]) throws -> (Process, URL) {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("escapement-e2e-\(UUID().uuidString)")
    guard FileManager.default.createFile(atPath: file.path, contents: nil) else { throw CocoaError(.fileWriteUnknown) }
    let output = try FileHandle(forWritingTo: file)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["python3", script] + arguments
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = output
    return (process, file)
  }
}

extension Result where Failure == any Error {
  /// The outcome of an asynchronous piece of work, so that what follows it runs either way.
  static func of(_ work: () async throws -> Success) async -> Self {
    do { return .success(try await work()) } catch { return .failure(error) }
  }
}
