// The real server as a child process in a folder of its own.
//
// Holds: the folder is new and is removed by `stop`.
// Leaves to others: talking to it (LineConnection).

import Glibc

final class ServerProcess {
  let folder: String
  private let binary: String
  private let fsync: String
  private let stallMs: Int
  private let extra: [String]
  private let wire: String?
  /// Where the wanted protocol is spoken, and where the line protocol is.
  private(set) var port: UInt16 = 0
  private(set) var linePort: UInt16 = 0
  private var process: ChildProcess?

  /// Starts the server of `flags`; ends the program when it does not start.
  ///
  /// - Parameters:
  ///   - extra: more of its arguments.
  ///   - wire: the protocol whose port is wanted, as the server calls it; nil for the line protocol.
  ///   - stallMs: how much longer each of its syncs takes than the disk does.
  init(_ flags: Flags, _ extra: [String] = [], wire: String? = nil, stallMs: Int = 0) {
    self.extra = extra
    self.wire = wire
    binary = flags.text("binary").isEmpty ? Folder.ofThisProgram() + "/escapement" : flags.text("binary")
    fsync = flags.text("fsync")
    self.stallMs = stallMs
    folder = Folder.make(in: flags.text("folder"))
    start()
  }

  /// Starts the server on the folder, which may hold data of an earlier run; returns when it listens.
  func start() {
    let pipe = ChildProcess.pipe()
    process = ChildProcess(
      [binary, "serve", "--data", "\(folder)/data", "--listen", "127.0.0.1:0", "--fsync", fsync]
        + (wire == "AMQP" ? [] : ["--amqp", "off"]) + ["--http", "off", "--log-level", "warning"] + extra,
      environment: stallMs > 0 ? ["ESCAPEMENT_STALL_SYNC_MS=\(stallMs)"] : [], output: (pipe.write, 2))
    close(pipe.write)
    var text = Self.line(pipe.read)
    linePort = Self.port(text)
    while let wire, !text.isEmpty, !text.hasSuffix(" for \(wire)\n") { text = Self.line(pipe.read) }
    close(pipe.read)
    port = Self.port(text)
  }

  /// The port that a line names.
  private static func port(_ text: String) -> UInt16 {
    // escapement listening on 127.0.0.1:5672 for AMQP
    guard let number = text.split(separator: ":").last.flatMap({ UInt16($0.prefix { $0.isNumber }) }) else {
      fail("the server did not start: \(text)")
    }
    return number
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

  private var running: ChildProcess {
    guard let process else { preconditionFailure("a server that is used runs") }
    return process
  }

  var id: pid_t { running.id }
  var cpuNs: Int64 { running.cpuNs }
  var residentBytes: Int { running.residentBytes }
  var folderBytes: Int { Folder.bytes(folder) }

  /// Ends the server with `signal` and waits for it; true when it said that all went well.
  @discardableResult func end(_ signal: Int32 = SIGTERM) -> Bool {
    defer { process = nil }
    return running.end(signal)
  }

  /// Ends the server and removes its folder.
  func stop() {
    if !end() { say("  the server did not end well") }
    Folder.remove(folder)
  }

  /// Lets somebody attach a profiler.
  func pause(_ flags: Flags) {
    guard flags.number("pause") > 0 else { return }
    say("  server process \(id)")
    sleep(UInt32(flags.number("pause")))
  }
}
