import Platform
import Primitives
import Testing

@testable import NATS

@Suite("the transport over a socket")
struct SocketTransportTests {
  /// Turns a client until something is so, and waits by the transport's descriptor alone.
  private static func turn(_ client: NATSClient, _ transport: SocketTransport, until isSo: (NATSEvent) -> Bool) throws {
    let epoll = try Epoll(capacity: 1)
    try epoll.add(transport.descriptor, generation: 0, .readable)
    while true {
      client.turn(nowMs: SystemClock.bootNs() / 1_000_000)
      var isDone = false
      while !isDone, let event = client.next() { isDone = isSo(event) }
      client.flush()
      if isDone { return }
      let waitMs = max(0, client.nextTurnMs - SystemClock.bootNs() / 1_000_000)
      _ = try epoll.wait(timeoutNs: waitMs * 1_000_000)
    }
  }

  private static func read(_ fd: Int32, until end: String) -> String {
    var text: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while !text.suffix(end.utf8.count).elementsEqual(end.utf8) {
      let result = piece.withUnsafeMutableBytes { Socket.read(fd, into: $0) }
      if case .bytes(let count) = result { text += piece[..<count] }
    }
    return String(decoding: text, as: UTF8.self)
  }

  @Test("one descriptor tells of several connections, and what does not fit into the socket leaves as it is read")
  func connections() throws {
    let listener = try Socket.listen(host: "127.0.0.1", port: 0)
    defer { Socket.close(listener) }
    // The first server is not there.
    let gone = try Socket.listen(host: "127.0.0.1", port: 0)
    let gonePort = Socket.localPort(gone)
    Socket.close(gone)
    let transport = try SocketTransport()
    let addresses = "nats://127.0.0.1:\(gonePort),nats://127.0.0.1:\(Socket.localPort(listener))"
    let client = NATSClient(
      NATSSettings(servers: try ServerAddress.list(addresses), name: "test"), transport: transport, seed: 1)

    for _ in 0..<2 {
      var server: Int32?
      while server == nil {
        client.turn(nowMs: SystemClock.bootNs() / 1_000_000)
        while client.next() != nil {}
        if case .connection(let fd) = Socket.accept(listener) { server = fd }
      }
      let fd = server!
      defer { Socket.close(fd) }
      _ = ClientBench.info.withBytes { Socket.write(fd, $0) }
      _ = "PONG\r\n".withBytes { Socket.write(fd, $0) }
      try Self.turn(client, transport) { if case .connected = $0 { true } else { false } }
      #expect(Self.read(fd, until: "PING\r\n").hasPrefix("CONNECT {"))

      let payload = [UInt8](repeating: 7, count: 8 << 20)
      let call = payload.withBytes { client.request("a", $0, timeoutMs: 60_000) }
      client.flush()
      // Not all of it fits into the socket; the rest leaves as the other side reads.
      var received = 0
      var piece = [UInt8](repeating: 0, count: 1 << 18)
      while received < payload.count {
        client.flush()
        if case .bytes(let count) = piece.withUnsafeMutableBytes({ Socket.read(fd, into: $0) }) { received += count }
      }
      _ = "MSG \(client.inbox)\(call.number) 1 2\r\nok\r\n".withBytes { Socket.write(fd, $0) }
      try Self.turn(client, transport) { if case .reply(call, _) = $0 { true } else { false } }
      Socket.finishWriting(fd)
      try Self.turn(client, transport) { if case .disconnected = $0 { true } else { false } }
    }
  }

  @Test("a name's addresses take turns, and a connection that is refused is told when it is read")
  func refused() throws {
    let listener = try Socket.listen(host: "127.0.0.1", port: 0)
    let port = Socket.localPort(listener)
    for attempt in 0..<4 {
      let fd = try Socket.beginConnect(host: "localhost", port: port, attempt: attempt)
      Socket.close(fd)
    }
    Socket.close(listener)
    let transport = try SocketTransport()
    var piece = [UInt8](repeating: 0, count: 16)
    var result = TransferResult.wouldBlock
    do throws(SystemError) {
      try transport.open(try! ServerAddress.list("127.0.0.1:\(port)")[0])
      while result == .wouldBlock { result = piece.withUnsafeMutableBytes { transport.read(into: $0) } }
    } catch { result = .failed(error.number) }
    guard case .failed = result else { return #expect(Bool(false), "\(result)") }
    transport.close()
    #expect(transport.write(UnsafeRawBufferPointer(start: nil, count: 0)) == .closed)
  }
}
