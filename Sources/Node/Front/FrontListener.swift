// Places where clients come in, opened before anything else: shards tell the cluster where their node is.

import Platform
import Server

/// An open listener of the front.
struct FrontListener {
  let descriptor: Int32
  /// Where, with the port that it really has.
  let address: ListenAddress
  /// The shard that all of its clients want; nil when they say so themselves.
  var shard: Int?

  init(_ address: ListenAddress) throws(SystemError) {
    var address = address
    descriptor = try Socket.listen(host: address.host, port: address.port)
    address.port = Socket.localPort(descriptor)
    self.address = address
  }
}

/// All listeners of a node.
struct FrontDoors {
  private(set) var listeners: [FrontListener] = []
  /// Where the node is.
  private(set) var places: NodePlaces

  /// Opens them.
  init(_ settings: NodeSettings, log: ServerLog) throws(NodeError) {
    places = NodePlaces(line: settings.advertised, rocketMQ: nil)
    for address in settings.server.listeners { try open(address, log) }
    guard let nameServer = listeners.first(where: { $0.address.wire.isRemoting })?.address else { return }
    try openBrokers(behind: nameServer, settings, log)
  }

  /// Each shard is a broker to clients of RocketMQ, on the ports behind that of the name server.
  private mutating func openBrokers(
    behind nameServer: ListenAddress, _ settings: NodeSettings, _ log: ServerLog
  ) throws(NodeError) {
    guard Int(nameServer.port) + settings.shards <= Int(UInt16.max) else {
      throw NodeError(description: "RocketMQ: there are no \(settings.shards) ports behind port \(nameServer.port)")
    }
    var address = nameServer
    address.isRequired = true
    for shard in 0..<settings.shards {
      address.port = nameServer.port + 1 + UInt16(shard)
      try open(address, log)
      listeners[listeners.count - 1].shard = shard
    }
    let told = settings.server.rocketMQAdvertised
    let host = told?.host ?? NodeAddress(settings.advertised)?.host ?? nameServer.host
    places = NodePlaces(
      line: settings.advertised, rocketMQ: NodeAddress(host: host, port: told?.port ?? nameServer.port))
  }

  private mutating func open(_ address: ListenAddress, _ log: ServerLog) throws(NodeError) {
    do throws(SystemError) {
      listeners.append(try FrontListener(address))
    } catch {
      guard !address.isRequired else {
        throw NodeError(description: (address.wire.name.map { "\($0): " } ?? "") + "\(error)")
      }
      log(.warning, "listener_left_out", "\(address.wire.name ?? "a wire") is left out: \(error)")
    }
  }
}
