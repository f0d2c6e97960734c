// A node of an installed RabbitMQ, of our own: in a folder of its own, on loopback.
//
// Holds: nothing of an installed service is read or touched: neither its cookie nor its database, its port or its epmd; `stop` leaves
// nothing running.

import Foundation
import Platform

final class RabbitMQNode {
  let port = PeerProcess.freePort()
  private let epmd: ChildProcess
  private let child: ChildProcess

  init(_ folder: String) {
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
  }

  /// Processor time so far.
  var cpuNs: Int64 { child.cpuNs }

  func stop() {
    // The node before its epmd.
    child.end(SIGKILL)
    epmd.end(SIGKILL)
  }
}
