// RabbitMQ: a queue whose messages have times to live, and a dead-letter exchange that moves them into another when they end; the
// usual way to delay with it. All messages of a run have the same delay, so none stands behind a longer-lived one.

import Foundation
import Platform
import Primitives

final class RabbitMQPeer: Peer {
  static let kind = PeerKind(
    name: "RabbitMQ",
    settings: "durable classic queues, persistent, publisher confirms; expiration and a dead-letter exchange",
    program: "rabbitmq-server", package: "apt install rabbitmq-server"
  ) { folder, _ in RabbitMQPeer(folder) }

  private let port = PeerProcess.freePort()
  private let epmd: ChildProcess
  private let child: ChildProcess

  private init(_ folder: String) {
    let (epmdPort, distributionPort) = (PeerProcess.freePort(), PeerProcess.freePort())
    for name in ["home", "mnesia", "log"] {
      try? FileManager.default.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
    }
    for (name, text) in [
      ("env.conf", ""), ("rabbitmq.conf", "log.file.level = warning\n"), ("enabled_plugins", "[].\n"),
    ] {
      try? text.write(toFile: "\(folder)/\(name)", atomically: true, encoding: .utf8)
    }
    let environment = [
      "LANG=C.UTF-8", "HOME=\(folder)/home", "RABBITMQ_CONF_ENV_FILE=\(folder)/env.conf",
      "RABBITMQ_CONFIG_FILE=\(folder)/rabbitmq.conf", "RABBITMQ_ENABLED_PLUGINS_FILE=\(folder)/enabled_plugins",
      "RABBITMQ_NODENAME=bench\(getpid())@localhost", "RABBITMQ_MNESIA_BASE=\(folder)/mnesia",
      "RABBITMQ_LOG_BASE=\(folder)/log", "RABBITMQ_PID_FILE=\(folder)/pid", "RABBITMQ_NODE_IP_ADDRESS=127.0.0.1",
      "RABBITMQ_NODE_PORT=\(port)", "RABBITMQ_DIST_PORT=\(distributionPort)", "ERL_EPMD_ADDRESS=127.0.0.1",
      "ERL_EPMD_PORT=\(epmdPort)",
      // Our epmd is a child of ours, so that it can be stopped; the node must not start one that stays behind.
      "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}",
      // The script then becomes the node instead of waiting for it.
      "RUNNING_UNDER_SYSTEMD=true",
    ]
    epmd = PeerProcess.start(
      ["epmd", "-address", "127.0.0.1", "-port", "\(epmdPort)"], environment: environment, in: folder,
      listeningOn: epmdPort)
    child = PeerProcess.start(
      [PeerProcess.find("rabbitmq-server") ?? "rabbitmq-server"], environment: environment, in: folder,
      listeningOn: port)
    AMQPWire(port: port).declareQueues()
  }

  func scheduler() -> any PeerScheduler { Scheduler(AMQPWire(port: port)) }
  func receiver() -> any PeerReceiver { Receiver(AMQPWire(port: port)) }

  func stop() {
    // The node before its epmd.
    child.end(SIGKILL)
    epmd.end(SIGKILL)
  }

  private final class Scheduler: PeerScheduler {
    private let wire: AMQPWire
    private var confirms = Confirms()
    var connection: LineConnection { wire.connection }

    init(_ wire: AMQPWire) {
      self.wire = wire
      wire.call(85, 10, [0])
    }

    func schedule(_ number: Int, delayMs: Int, to out: inout ByteBuffer) {
      let expiration = Array(String(delayMs).utf8)
      out.append(AMQPWire.publish)
      out.append(AMQPWire.frame(2, AMQPWire.header(bodyBytes: PeerBody.bytes, expiration: expiration)))
      out.append(AMQPWire.bodyStart)
      PeerBody.append(number, dueMs: PeerBody.nowMs() + Int64(delayMs), to: &out)
      out.append(byte: 0xCE)
    }

    func takeReplies() -> Int {
      var count = 0
      wire.takeFrames { kind, payload in
        guard kind == 1, payload.count >= 13, AMQPWire.short(payload, 0) == 60, AMQPWire.short(payload, 2) == 80 else {
          fail("RabbitMQ does not confirm")
        }
        count += confirms.take(AMQPWire.long(payload, 4), isMultiple: payload[12] & 1 == 1)
      }
      return count
    }
  }

  /// Which messages are confirmed: those up to a tag, and single ones behind it.
  private struct Confirms {
    private var upTo: UInt64 = 0
    private var beyond: Set<UInt64> = []

    /// How many messages a confirm is new for.
    mutating func take(_ tag: UInt64, isMultiple: Bool) -> Int {
      var count = 0
      if isMultiple {
        while upTo < tag { advance(&count) }
      } else if tag > upTo, beyond.insert(tag).inserted {
        count = 1
      }
      while beyond.remove(upTo + 1) != nil { upTo += 1 }
      return count
    }

    private mutating func advance(_ count: inout Int) {
      upTo += 1
      if beyond.remove(upTo) == nil { count += 1 }
    }
  }

  private final class Receiver: PeerReceiver {
    private let wire: AMQPWire
    private var out = ByteBuffer()

    init(_ wire: AMQPWire) {
      self.wire = wire
      // Consume `ready`: no local, acknowledgements wanted.
      wire.call(60, 20, [0, 0] + AMQPWire.text("ready") + AMQPWire.text("c") + [0] + [0, 0, 0, 0])
    }

    func receive(_ use: (UnsafeRawBufferPointer) -> Void) {
      guard wire.connection.hasUnread || wire.connection.waits(ms: 20) && wire.connection.receive() else { return }
      var last: UInt64 = 0
      wire.takeFrames { kind, payload in
        if kind == 3 { return use(payload) }
        guard kind == 1, AMQPWire.short(payload, 0) == 60, AMQPWire.short(payload, 2) == 60 else { return }
        // The delivery tag lies behind the consumer tag `c`.
        last = AMQPWire.long(payload, 6)
      }
      if last == 0 { return }
      out.append(AMQPWire.frame(1, [0, 60, 0, 80] + AMQPWire.bytes(last) + [1]))
      wire.connection.send(&out)
    }
  }
}
