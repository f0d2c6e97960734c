// `bench remoting`: how many messages a second RocketMQ clients could send and pull.
//
// Requests are encoded beforehand and responses only cut into frames, so that the loader is not what is slow. Three parts: sends of single
// messages, with few in flight on each connection; sends of batches; pulls of all that was sent.

import Glibc
import Platform
import Primitives
import RemotingProtocol

enum RemotingBenchmark {
  private static let help = """
    bench remoting [flags]

      --messages N       messages that are sent one by one, and as many in batches (1000000)
      --connections N    connections that send; also queues of the topic, and connections that pull (4)
      --window N         requests of a connection without response (16)
      --batch N          messages of a batch (32)
      --body-bytes N     size of a body (128)
    \(Flags.serverHelp)
    """

  static func run(arguments: [String]) {
    let flags = Flags(
      arguments,
      defaults: Flags.serverDefaults([
        "messages": "1000000", "connections": "4", "window": "16", "batch": "32", "body-bytes": "128",
      ]), help: help)
    let count = flags.number("messages")
    let connections = min(max(1, flags.number("connections")), 256)
    sayExpected(seconds: 3 * count / Load.usualMessagesPerSecond)
    let server = ServerProcess(
      flags, ["--rocketmq", "127.0.0.1:0", "--rocketmq-queues", "\(connections)"], wire: "RocketMQ")
    defer { server.stop() }
    let body = [UInt8](repeating: UInt8(ascii: "x"), count: flags.number("body-bytes"))
    let each = count / connections
    let batchMessages = max(1, flags.number("batch"))
    server.pause(flags)
    measure("send", each * connections, server, connections) { connection, queue in
      connection.send(Requests.send(body, queue: queue), times: each, window: flags.number("window"))
    }
    let batches = each / batchMessages
    measure("send in batches of \(batchMessages)", batches * batchMessages * connections, server, connections) {
      connection, queue in
      connection.send(
        Requests.batch(body, batchMessages, queue: queue), times: batches, window: flags.number("window"))
    }
    let all = each + batches * batchMessages
    measure("pull", all * connections, server, connections) { connection, queue in
      connection.pull(queue: queue, until: all)
    }
  }

  /// Runs `body` on all connections at once, each with a queue of its own.
  private static func measure(
    _ name: String, _ count: Int, _ server: ServerProcess, _ connections: Int,
    _ body: @escaping @Sendable (RemotingConnection, Int) -> Void
  ) {
    let cpuBefore = server.cpuNs
    let startNs = SystemClock.bootNs()
    let threads = (0..<connections).compactMap { queue in
      let connection = RemotingConnection(server)
      return try? Thread(name: "remoting") { body(connection, queue) }
    }
    for thread in threads { thread.join() }
    let ns = SystemClock.bootNs() - startNs
    say(
      "\(name): \(Figures.rate(count, ns: ns)) messages a second (\(count) in \(Figures.seconds(ns: ns))); server "
        + "\((server.cpuNs - cpuBefore) / Int64(max(1, count))) ns of processor time a message, "
        + "\(Figures.mebibytes(server.residentBytes)) resident; load \(Figures.machineLoad())")
  }
}

/// What a client would send.
private enum Requests {
  private static let properties = "UNIQ_KEY\u{1}7F00000100002A9F000000000000000A\u{2}WAIT\u{1}true\u{2}TAGS\u{1}T\u{2}"

  /// One message, with the short names of newer clients.
  static func send(_ body: [UInt8], queue: Int) -> ByteBuffer { request(.sendMessageV2, properties, body, queue) }

  /// Many messages in one request.
  static func batch(_ body: [UInt8], _ count: Int, queue: Int) -> ByteBuffer {
    var messages = ByteBuffer()
    for _ in 0..<count {
      messages.append(bigEndian: Int32(22 + body.count + properties.utf8.count))
      for _ in 0..<3 { messages.append(bigEndian: Int32(0)) }
      messages.append(bigEndian: Int32(body.count))
      body.withBytes { messages.append($0) }
      messages.append(bigEndian: Int16(properties.utf8.count))
      messages.append(text: properties)
    }
    return request(.sendBatchMessage, "", Array(messages.readable), queue)
  }

  private static func request(
    _ code: RequestCode, _ properties: String, _ body: [UInt8], _ queue: Int
  ) -> ByteBuffer {
    var out = ByteBuffer()
    var frame = RemotingFrameWriter(request: code, opaque: 1, isOneWay: false, serialization: .json, &out)
    frame.field("a", "bench", &out)
    frame.field("b", "remoting", &out)
    frame.field("c", "TBW102", &out)
    frame.field("d", 4, &out)
    frame.field("e", Int64(queue), &out)
    frame.field("f", 0, &out)
    frame.field("g", SystemClock.wallNs() / 1_000_000, &out)
    frame.field("h", 0, &out)
    frame.field("i", properties, &out)
    frame.field("j", 0, &out)
    frame.field("k", "false", &out)
    frame.field("m", code == .sendBatchMessage ? "true" : "false", &out)
    frame.endHeader(&out)
    body.withBytes { out.append($0) }
    frame.end(&out)
    return out
  }

  /// A pull of all that fits into one answer.
  static func pull(queue: Int, offset: Int, to out: inout ByteBuffer) {
    var frame = RemotingFrameWriter(request: .pullMessage, opaque: 1, isOneWay: false, serialization: .json, &out)
    frame.field("consumerGroup", "bench", &out)
    frame.field("topic", "remoting", &out)
    frame.field("queueId", Int64(queue), &out)
    frame.field("queueOffset", Int64(offset), &out)
    frame.field("maxMsgNums", 4096, &out)
    frame.field("sysFlag", 4, &out)
    frame.field("commitOffset", 0, &out)
    frame.field("suspendTimeoutMillis", 0, &out)
    frame.field("subscription", "*", &out)
    frame.field("subVersion", 0, &out)
    frame.endHeader(&out)
    frame.end(&out)
  }
}

/// A blocking connection that moves frames.
private final class RemotingConnection: @unchecked Sendable {
  private let descriptor: Int32
  private var frames = RemotingFrameReader()
  private let headers = RemotingHeaderReader()

  init(_ server: ServerProcess) {
    do throws(SystemError) {
      descriptor = try Socket.connect(host: "127.0.0.1", port: server.port)
    } catch { fail("\(error)") }
  }

  deinit { Socket.close(descriptor) }

  private func write(_ bytes: UnsafeRawBufferPointer) {
    var rest = bytes
    while rest.count > 0 {
      guard case .bytes(let count) = Socket.write(descriptor, rest) else { fail("the server hung up") }
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
    }
  }

  private func receive() {
    let room = frames.writable(256 << 10)
    guard case .bytes(let count) = Socket.read(descriptor, into: room) else { fail("the server hung up") }
    frames.commit(count)
  }

  /// The next response if it has come.
  private func next() -> RemotingFrame? {
    do throws(RemotingError) { return try frames.next() } catch { fail("\(error)") }
  }

  /// Sends the same request so often; each must be answered well.
  func send(_ request: borrowing ByteBuffer, times: Int, window: Int) {
    // As many at once as may be in flight, so that a write is a system call for all of them.
    var many = ByteBuffer()
    for _ in 0..<window { many.append(request.readable) }
    let length = request.count
    var sent = 0
    var answered = 0
    while answered < times {
      let room = min(times - sent, window - (sent - answered))
      if room > 0 {
        write(UnsafeRawBufferPointer(rebasing: many.readable[..<(room * length)]))
        sent += room
      }
      receive()
      while let response = next() {
        // {"code":0,
        guard response.header.count > 10, response.header[8] == UInt8(ascii: "0") else {
          fail(String(decoding: response.header, as: UTF8.self))
        }
        answered += 1
      }
    }
  }

  /// Pulls a queue from its beginning until so many messages have come.
  func pull(queue: Int, until count: Int) {
    var offset = 0
    while offset < count {
      var out = ByteBuffer()
      Requests.pull(queue: queue, offset: offset, to: &out)
      write(out.readable)
      var response = next()
      while response == nil {
        receive()
        response = next()
      }
      guard let response, let header = try? headers.read(response), header.code == 0,
        let next = try? header.fields.requiredInt64("nextBeginOffset"), next > offset
      else { fail("a pull of queue \(queue) at \(offset) gave nothing") }
      offset = Int(next)
    }
  }
}
