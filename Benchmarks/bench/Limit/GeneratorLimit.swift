// How fast the load generator is by itself: what it can write into a connection whose other end throws everything away, and what it
// can read from one that sends without end. A server cannot be seen to be faster than that.

import Glibc
import LineProtocol
import Platform
import Primitives

enum GeneratorLimit {
  /// Says in a report how fast the generator is.
  static func fill(_ report: inout Report, bodyBytes: Int) {
    Progress.begin("the generator's own limit")
    let limit = measure(requests: 500_000, bodyBytes: bodyBytes)
    Progress.end()
    report.add("the generator alone writes", limit.written, "requests/s")
    report.add("the generator alone reads", limit.read, "replies/s")
    report.notes.append(
      "The load generator and the server share the processors: the generator's own limits are for one thread alone.")
  }

  /// Requests a second written into a sink, and replies a second taken from a source, over loopback.
  static func measure(requests: Int, bodyBytes: Int) -> (written: Double, read: Double) {
    do throws(SystemError) {
      let listener = try Socket.listen(host: "127.0.0.1", port: 0)
      defer { Socket.close(listener) }
      let port = Socket.localPort(listener)
      return (written(requests, bodyBytes, listener, port), read(requests, listener, port))
    } catch { fail("\(error)") }
  }

  private static func written(_ requests: Int, _ bodyBytes: Int, _ listener: Int32, _ port: UInt16) -> Double {
    let connection = LineConnection(port: port)
    let sink = try? Thread(name: "sink") {
      let descriptor = accept(listener)
      defer { Socket.close(descriptor) }
      withUnsafeTemporaryAllocation(byteCount: 1 << 20, alignment: 64) { buffer in
        while case .bytes = Socket.read(descriptor, into: buffer) {}
      }
    }
    let text = RequestText(topic: "throughput", bodyBytes: bodyBytes)
    var out = ByteBuffer(capacity: 300 << 10)
    let startNs = SystemClock.bootNs()
    for number in 0..<requests {
      text.schedule(nil, atMs: 1_800_000_000_000 + Int64(number), .disk, to: &out)
      if out.count >= 64 << 10 { connection.send(&out) }
    }
    connection.send(&out)
    let ns = SystemClock.bootNs() - startNs
    connection.finishWriting()
    sink?.join()
    return Figures.rate(requests, ns: ns)
  }

  private static func read(_ replies: Int, _ listener: Int32, _ port: UInt16) -> Double {
    let connection = LineConnection(port: port)
    let source = try? Thread(name: "source") {
      let descriptor = accept(listener)
      defer { Socket.close(descriptor) }
      let line = Array(
        "{\"ok\":true,\"id\":\"m0000000000001\",\"deliverAtMs\":1795253803024,\"outcome\":\"scheduled\"}\n".utf8)
      var out = ByteBuffer(capacity: 300 << 10)
      var written = 0
      while written < replies {
        while written < replies, out.count < 64 << 10 {
          line.withUnsafeBytes { out.append($0) }
          written += 1
        }
        while !out.isEmpty {
          guard case .bytes(let count) = Socket.write(descriptor, out.readable) else { return }
          out.consume(count)
        }
      }
    }
    var taken = 0
    let startNs = SystemClock.bootNs()
    while taken < replies, connection.receive() { taken += connection.takeReplies() }
    let ns = SystemClock.bootNs() - startNs
    source?.join()
    return Figures.rate(taken, ns: ns)
  }

  /// The next connection, blocking: the listener does not block, so it is asked until there is one.
  private static func accept(_ listener: Int32) -> Int32 {
    while true {
      if case .connection(let descriptor) = Socket.accept(listener) {
        let flags = fcntl(descriptor, F_GETFL)
        _ = fcntl(descriptor, F_SETFL, flags & ~O_NONBLOCK)
        return descriptor
      }
      SystemClock.pause(ns: 1_000_000)
    }
  }
}
