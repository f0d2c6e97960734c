// PostgreSQL: a table with an index on the due time, polled each millisecond with FOR UPDATE SKIP LOCKED; the usual way to delay
// with a database. One transaction is what is written into the connection at a time.

import Foundation
import Platform
import Primitives

final class PostgreSQLPeer: Peer {
  static let kind = PeerKind(
    name: "PostgreSQL",
    settings: "fsync and synchronous_commit on; INSERT, a transaction a piece; DELETE … SKIP LOCKED each ms",
    program: "initdb", package: "apt install postgresql"
  ) { folder, _ in PostgreSQLPeer(folder) }

  private let port = PeerProcess.freePort()
  private let child: ChildProcess

  private init(_ folder: String) {
    // It does not run as root.
    let prefix = geteuid() == 0 ? ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] : []
    if geteuid() == 0 { ChildProcess.run(["chown", "nobody", folder]) }
    guard let initdb = PeerProcess.find("initdb"), let postgres = PeerProcess.find("postgres") else {
      fail("PostgreSQL has no initdb or postgres")
    }
    let made = ChildProcess.run(
      prefix + [initdb, "-D", "\(folder)/data", "-A", "trust", "-U", "bench", "-E", "UTF8", "--no-locale"])
    guard made == 0 else { fail("initdb failed") }
    child = PeerProcess.start(
      prefix + [postgres, "-D", "\(folder)/data", "-h", "127.0.0.1", "-p", "\(port)", "-k", folder], in: folder,
      listeningOn: port)
    // It listens before it answers.
    let isReady = [PeerProcess.find("pg_isready") ?? "pg_isready", "-q", "-h", "127.0.0.1", "-p", "\(port)"]
    for _ in 0..<600 where ChildProcess.run(isReady) != 0 { SystemClock.pause(ns: 100_000_000) }
    let wire = PostgreSQLWire(port: port)
    wire.query("CREATE TABLE delayed (id bigserial PRIMARY KEY, due bigint NOT NULL, body text NOT NULL)")
    wire.query("CREATE INDEX ON delayed (due)")
  }

  func scheduler() -> any PeerScheduler { Scheduler(PostgreSQLWire(port: port)) }
  func receiver() -> any PeerReceiver { Receiver(PostgreSQLWire(port: port)) }
  func stop() { child.end(SIGINT) }

  private final class Scheduler: PeerScheduler {
    private let wire: PostgreSQLWire
    /// Messages in each transaction that is not answered, and in the one that is being written.
    private var transactions = Fifo<Int>()
    private var open = 0
    var connection: LineConnection { wire.connection }

    init(_ wire: PostgreSQLWire) {
      self.wire = wire
      wire.prepare("INSERT INTO delayed (due, body) VALUES ($1, $2)", types: [20, 25])
    }

    func schedule(_ number: Int, delayMs: Int, to out: inout ByteBuffer) {
      let dueMs = PeerBody.nowMs() + Int64(delayMs)
      out.append(PostgreSQLWire.bindStart)
      out.append(AMQPWire.bytes(dueMs))
      out.append(PostgreSQLWire.bodyLength)
      PeerBody.append(number, dueMs: dueMs, to: &out)
      out.append(PostgreSQLWire.bindEndAndExecute)
      open += 1
    }

    func endPiece(to out: inout ByteBuffer) {
      guard open > 0 else { return }
      out.append([UInt8(ascii: "S"), 0, 0, 0, 4])
      transactions.append(open)
      open = 0
    }

    func takeReplies() -> Int {
      var count = 0
      wire.takeMessages { kind, _ in
        if kind == UInt8(ascii: "Z") { count += transactions.removeFirst() }
      }
      return count
    }
  }

  private final class Receiver: PeerReceiver {
    private let wire: PostgreSQLWire

    init(_ wire: PostgreSQLWire) { self.wire = wire }

    func receive(_ use: (UnsafeRawBufferPointer) -> Void) {
      let nowMs = SystemClock.wallNs() / 1_000_000
      let rows = wire.query(
        """
        DELETE FROM delayed WHERE id IN (SELECT id FROM delayed WHERE due <= \(nowMs) ORDER BY due LIMIT 1000 \
        FOR UPDATE SKIP LOCKED) RETURNING body
        """, use)
      if rows < 1000 { SystemClock.pause(ns: 1_000_000) }
    }
  }
}

/// The client side of PostgreSQL's protocol, version 3, as far as it is needed.
private final class PostgreSQLWire {
  let connection: LineConnection
  private var out = ByteBuffer()

  init(port: UInt16) {
    connection = LineConnection(port: port)
    let parameters = Array("user\0bench\0database\0postgres\0\0".utf8)
    out.append(AMQPWire.bytes(UInt32(8 + parameters.count)) + [0, 3, 0, 0] + parameters)
    connection.send(&out)
    waitUntilReady { _ in }
  }

  /// Runs a statement; `use` gets each row. Gives how many there were.
  @discardableResult func query(_ text: String, _ use: (UnsafeRawBufferPointer) -> Void = { _ in }) -> Int {
    out.append(Self.message("Q", Array(text.utf8) + [0]))
    connection.send(&out)
    return waitUntilReady(use)
  }

  /// Prepares the nameless statement.
  func prepare(_ text: String, types: [UInt32]) {
    out.append(
      Self.message(
        "P", [0] + Array(text.utf8) + [0] + AMQPWire.bytes(UInt16(types.count)) + types.flatMap(AMQPWire.bytes)))
    out.append(Self.message("S", []))
    connection.send(&out)
    waitUntilReady { _ in }
  }

  @discardableResult private func waitUntilReady(_ use: (UnsafeRawBufferPointer) -> Void) -> Int {
    var rows = 0
    var isReady = false
    while true {
      takeMessages { kind, payload in
        if kind == UInt8(ascii: "D") {
          rows += 1
          use(payload)
        }
        if kind == UInt8(ascii: "Z") { isReady = true }
      }
      if isReady { return rows }
      guard connection.receive() else { fail("PostgreSQL does not answer") }
    }
  }

  /// Takes the whole messages that were received.
  func takeMessages(_ use: (_ kind: UInt8, _ payload: UnsafeRawBufferPointer) -> Void) {
    while true {
      let bytes = connection.unread
      guard bytes.count >= 5 else { return }
      let size = Int(AMQPWire.short(bytes, 1)) << 16 | Int(AMQPWire.short(bytes, 3))
      guard bytes.count >= size + 1 else { return }
      let payload = UnsafeRawBufferPointer(rebasing: bytes[5..<size + 1])
      if bytes[0] == UInt8(ascii: "E") { fail("PostgreSQL: \(String(decoding: payload, as: UTF8.self))") }
      use(bytes[0], payload)
      connection.take(size + 1)
    }
  }

  static func message(_ kind: Unicode.Scalar, _ payload: [UInt8]) -> [UInt8] {
    [UInt8(ascii: kind)] + AMQPWire.bytes(UInt32(payload.count + 4)) + payload
  }

  /// Bind the nameless statement with two values, the first in binary form; up to the length of the first.
  static let bindStart: [UInt8] = {
    let head: [UInt8] = [0, 0] + [0, 2, 0, 1, 0, 0] + [0, 2] + [0, 0, 0, 8]
    return [UInt8(ascii: "B")] + AMQPWire.bytes(UInt32(4 + head.count + 8 + 4 + PeerBody.bytes + 2)) + head
  }()
  static let bodyLength = AMQPWire.bytes(UInt32(PeerBody.bytes))
  static let bindEndAndExecute: [UInt8] = [0, 0] + message("E", [0, 0, 0, 0, 0])
}
