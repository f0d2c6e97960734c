// A server that follows a script: it answers `hello` and `ping` by itself and hands every other line to the test.
//
// Holds: lines are recorded before they are answered; one thread a connection; port 0, so that tests run side by side.
// Leaves to others: any meaning (there is no broker here).

import Foundation
import Glibc
import Synchronization

@testable import EscapementClient

/// A line a client sent.
struct Received: Sendable {
  let connection: Int
  let fields: RawObject

  var op: String { fields["op"]?.string ?? "" }
  var rid: Int64 { fields["rid"]?.int ?? 0 }
  func text(_ key: String) -> String? { fields[key]?.string }

  /// A good reply with these further members.
  func ok(_ members: String = "") -> String { "{\"ok\":true,\"rid\":\(rid)\(members.isEmpty ? "" : ",")\(members)}" }

  func refusal(_ code: String, _ message: String = "no") -> String {
    "{\"ok\":false,\"rid\":\(rid),\"error\":\"\(code)\",\"message\":\"\(message)\"}"
  }
}

final class FakeServer: Sendable {
  /// One client's connection, as the script sees it.
  final class Connection: Sendable {
    let number: Int
    private let socket: Int32

    init(number: Int, socket: Int32) {
      self.number = number
      self.socket = socket
    }

    deinit { Glibc.close(socket) }

    func send(_ lines: String...) {
      var bytes = Array(lines.map { $0 + "\n" }.joined().utf8)[...]
      while !bytes.isEmpty {
        let count = bytes.withUnsafeBytes { Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        if count <= 0 { return }
        bytes = bytes.dropFirst(count)
      }
    }

    func drop() { shutdown(socket, Int32(SHUT_RDWR)) }

    func read() -> [UInt8]? {
      var chunk = [UInt8](repeating: 0, count: 4_096)
      let count = recv(socket, &chunk, chunk.count, 0)
      return count > 0 ? Array(chunk[..<count]) : nil
    }
  }

  typealias Script = @Sendable (Received, Connection) -> Void

  private struct State {
    var received: [Received] = []
    var connections: [Connection] = []
    /// Lines are recorded, and nothing is answered any more.
    var isSilent = false
    /// The same for one connection.
    var silentConnection: Int?
    var waiters: [(condition: @Sendable ([Received]) -> Bool, waiter: CheckedContinuation<Void, Never>)] = []
  }

  static let hello =
    "\"server\":\"fake/1\",\"protocol\":1,\"tickMs\":1,\"wheelSize\":64,\"maxLineBytes\":65536,\"maxDelayMs\":1000000,\"nowMs\":5"

  let port: Int
  private let listener: Int32
  private let state = Mutex(State())
  private let script: Script
  /// It is one of a cluster, and the script answers for that.
  private let isNode: Bool

  init(isNode: Bool = false, _ script: @escaping Script = { _, _ in }) {
    self.isNode = isNode
    self.script = script
    listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    port = withUnsafeMutablePointer(to: &address) { [listener] pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
        precondition(bind(listener, generic, length) == 0 && listen(listener, 16) == 0, "no port to listen on")
        getsockname(listener, generic, &length)
      }
      return Int(UInt16(bigEndian: pointer.pointee.sin_port))
    }
    let accepting = Thread { [self] in accept() }
    accepting.start()
  }

  /// Everything clients sent.
  var received: [Received] { state.withLock { $0.received } }

  func received(_ op: String) -> [Received] { received.filter { $0.op == op } }

  /// Returns when what was received fulfils the condition.
  func wait(until condition: @escaping @Sendable ([Received]) -> Bool) async {
    await withCheckedContinuation { waiter in
      let isMet = state.withLock { state in
        if condition(state.received) { return true }
        state.waiters.append((condition, waiter))
        return false
      }
      if isMet { waiter.resume() }
    }
  }

  func wait(for op: String, count: Int = 1) async {
    await wait { $0.count { $0.op == op } >= count }
  }

  /// Records what comes from now on, and answers nothing, as a stopped process.
  func fallSilent() { state.withLock { $0.isSilent = true } }

  /// Records what comes over this connection from now on, and answers nothing there.
  func fallSilent(on connection: Connection) { state.withLock { $0.silentConnection = connection.number } }

  /// Stops listening and drops every connection.
  func stop() {
    shutdown(listener, Int32(SHUT_RDWR))
    for connection in state.withLock({ $0.connections }) { connection.drop() }
  }

  func client(_ configuration: Configuration = Configuration(reconnect: ReconnectBackoff(initialMs: 1, maxMs: 5)))
    -> EscapementClient
  {
    EscapementClient(port: port, configuration: configuration)
  }

  private func accept() {
    while true {
      let socket = Glibc.accept(listener, nil, nil)
      guard socket >= 0 else { break }
      let connection = state.withLock { state in
        let connection = Connection(number: state.connections.count + 1, socket: socket)
        state.connections.append(connection)
        return connection
      }
      let serving = Thread { [self] in serve(connection) }
      serving.start()
    }
    Glibc.close(listener)
  }

  private func serve(_ connection: Connection) {
    var partial: [UInt8] = []
    while let bytes = connection.read() {
      partial += bytes
      while let newline = partial.firstIndex(of: 10) {
        let line = Array(partial[..<newline])
        partial.removeFirst(newline + 1)
        guard let fields = try? RawObject(line: line) else { return connection.drop() }
        answer(Received(connection: connection.number, fields: fields), connection)
      }
    }
    connection.drop()
  }

  private func answer(_ line: Received, _ connection: Connection) {
    let (met, isSilent) = state.withLock { state in
      state.received.append(line)
      let met = state.waiters.filter { $0.condition(state.received) }
      state.waiters.removeAll { $0.condition(state.received) }
      return (met, state.isSilent || state.silentConnection == connection.number)
    }
    switch line.op {
    case _ where isSilent: break
    case "hello" where line.text("token") == "wrong": connection.send(line.refusal("unauthenticated", "bad token"))
    case "hello": connection.send(line.ok(Self.hello))
    case "ping": connection.send(line.ok("\"nowMs\":7"))
    case "shards" where !isNode: connection.send(line.refusal("unknown_op"))
    default: script(line, connection)
    }
    for entry in met { entry.waiter.resume() }
  }
}
