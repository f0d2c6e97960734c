// Redis: a sorted set of due times, polled each millisecond by a script that takes what is due; the usual way to delay with it.
// The message is the member, so that one command schedules and one takes.

import Glibc
import LineProtocol
import Platform
import Primitives

final class RedisPeer: Peer {
  static let always = kind("Redis, AOF always", "always")
  static let everySecond = kind("Redis, AOF everysec", "everysec")

  private static func kind(_ name: String, _ sync: String) -> PeerKind {
    PeerKind(
      name: name,
      settings: "appendonly yes, appendfsync \(sync), save \"\"; ZADD; a Lua script each ms takes what is due",
      program: "redis-server", package: "apt install redis-server"
    ) { folder, _ in RedisPeer(folder, sync: sync) }
  }

  private let port = PeerProcess.freePort()
  private let child: ChildProcess

  private init(_ folder: String, sync: String) {
    child = PeerProcess.start(
      [PeerProcess.find("redis-server") ?? "redis-server", "--bind", "127.0.0.1", "--port", "\(port)", "--dir", folder]
        + ["--save", "", "--appendonly", "yes", "--appendfsync", sync, "--daemonize", "no"],
      in: folder, listeningOn: port)
  }

  func scheduler() -> any PeerScheduler { Scheduler(LineConnection(port: port)) }
  func receiver() -> any PeerReceiver { Receiver(LineConnection(port: port)) }
  func stop() { child.end(SIGKILL) }

  private final class Scheduler: PeerScheduler {
    let connection: LineConnection

    init(_ connection: LineConnection) { self.connection = connection }

    func schedule(_ number: Int, delayMs: Int, to out: inout ByteBuffer) {
      let dueMs = PeerBody.nowMs() + Int64(delayMs)
      out.append("*4\r\n$4\r\nZADD\r\n$7\r\ndelayed\r\n$13\r\n")
      out.appendPadded(dueMs, digits: 13)
      out.append("\r\n$128\r\n")
      PeerBody.append(number, dueMs: dueMs, to: &out)
      out.append("\r\n")
    }

    func takeReplies() -> Int { connection.takeReplies(of: "Redis", beginningWith: ":") }
  }

  private final class Receiver: PeerReceiver {
    private static let script = """
      local due = redis.call('ZRANGEBYSCORE', 'delayed', '-inf', ARGV[1], 'LIMIT', 0, 1000)
      if #due > 0 then redis.call('ZREM', 'delayed', unpack(due)) end
      return due
      """

    private let connection: LineConnection
    private var out = ByteBuffer()
    private let hash: String

    init(_ connection: LineConnection) {
      self.connection = connection
      out.append(text: "*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n$\(Self.script.utf8.count)\r\n\(Self.script)\r\n")
      connection.send(&out)
      var lines: [String] = []
      while lines.count < 2 {
        while let line = connection.nextLine() { lines.append(String(decoding: line, as: UTF8.self)) }
        guard lines.count == 2 || connection.receive() else { fail("Redis does not take the script") }
      }
      hash = String(lines[1].prefix(40))
    }

    func receive(_ use: (UnsafeRawBufferPointer) -> Void) {
      out.append(text: "*4\r\n$7\r\nEVALSHA\r\n$40\r\n\(hash)\r\n$1\r\n0\r\n$13\r\n")
      out.appendPadded(SystemClock.wallNs() / 1_000_000, digits: 13)
      out.append("\r\n")
      connection.send(&out)
      var count: Int?
      while true {
        if count == nil, let line = connection.nextLine() {
          guard line.first == UInt8(ascii: "*") else { fail("Redis: \(String(decoding: line, as: UTF8.self))") }
          count = Int(String(decoding: line.dropFirst().dropLast(), as: UTF8.self)) ?? 0
        }
        // `$128`, the body, and two ends of line each.
        if let count, connection.unread.count >= count * (6 + PeerBody.bytes + 2) {
          use(UnsafeRawBufferPointer(rebasing: connection.unread.prefix(count * (6 + PeerBody.bytes + 2))))
          connection.take(count * (6 + PeerBody.bytes + 2))
          if count < 1000 { SystemClock.pause(ns: 1_000_000) }
          return
        }
        guard connection.receive() else { fail("Redis does not answer") }
      }
    }
  }
}
