// Who is measured: this project's server, and an installed RabbitMQ, both on their own folders and on loopback.

import Platform

protocol AMQPBroker: AnyObject {
  var name: String { get }
  var isOurs: Bool { get }
  var port: UInt16 { get }
  /// Processor time of the broker so far.
  var cpuNs: Int64 { get }
}

extension ServerProcess: AMQPBroker {
  var name: String { "Escapement" }
  var isOurs: Bool { true }

  /// Our server, whose `port` speaks AMQP.
  static func speakingAMQP(_ flags: Flags) -> ServerProcess {
    ServerProcess(flags, ["--amqp", "127.0.0.1:0"], wire: "AMQP")
  }
}

/// RabbitMQ with the folder that it lives in.
final class InstalledRabbitMQ: AMQPBroker {
  let name = "RabbitMQ"
  let isOurs = false
  private let folder: String
  private let node: RabbitMQNode
  var port: UInt16 { node.port }
  var cpuNs: Int64 { node.cpuNs }

  init(_ flags: Flags) {
    folder = Folder.make(in: flags.text("folder"))
    node = RabbitMQNode(folder)
  }

  func stop() {
    node.stop()
    Folder.remove(folder)
  }
}
