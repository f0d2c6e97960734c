// Where a node is, as nodes tell it to each other in the log.
//
//     192.0.2.1:7611 rocketmq=192.0.2.1:9876
//
// First the address of the line protocol; then that of the name server for RocketMQ, where there is one.

/// Where something listens.
struct NodeAddress {
  let host: String
  let port: UInt16

  /// Puts the two together.
  init(host: String, port: UInt16) {
    self.host = host
    self.port = port
  }

  /// Reads `HOST:PORT` or `[HOST]:PORT`; nil for anything else.
  init?(_ text: some StringProtocol) {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0 else {
      return nil
    }
    let host = String(text[..<colon])
    let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
    guard host.utf8.count > (isBracketed ? 2 : 0) else { return nil }
    self.host = isBracketed ? String(host.dropFirst().dropLast()) : host
    self.port = port
  }

  /// `HOST:PORT`, an address of IPv6 in brackets.
  var text: String { "\(host.contains(":") ? "[\(host)]" : host):\(port)" }
}

/// The places of one node.
struct NodePlaces {
  /// Where the line protocol is spoken, as it was told.
  let line: String
  /// Where the name server for RocketMQ is; the brokers, one for each shard, have the ports behind it.
  let rocketMQ: NodeAddress?

  private static let rocketMQWord = "rocketmq="

  init(line: String, rocketMQ: NodeAddress?) {
    self.line = line
    self.rocketMQ = rocketMQ
  }

  /// Reads what `text` gives.
  init(_ text: String) {
    let words = text.split(separator: " ")
    line = words.first.map(String.init) ?? ""
    rocketMQ = words.dropFirst().first { $0.hasPrefix(Self.rocketMQWord) }
      .flatMap { NodeAddress($0.dropFirst(Self.rocketMQWord.utf8.count)) }
  }

  var text: String { line + (rocketMQ.map { " \(Self.rocketMQWord)\($0.text)" } ?? "") }

  /// Where the broker of a shard is.
  func broker(ofShard shard: Int) -> NodeAddress? {
    rocketMQ.map { NodeAddress(host: $0.host, port: $0.port + 1 + UInt16(shard)) }
  }
}
