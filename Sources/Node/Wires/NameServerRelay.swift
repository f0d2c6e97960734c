// RocketMQ's name server at the front of a node: each shard is a broker, on a port of its own.
//
// A request goes to the shard of its topic, and what names no topic to shard 0; the sessions there answer, also where their broker is.
// The retry topic of a group is on every broker, as RocketMQ has it: a message waits for its next attempt where it is. Its
// route is written here.
//
// Leaves to others: the brokers (their ports lead to their shards as they are), what requests do (the sessions).

import LineProtocol
import Primitives
import RemotingProtocol
import Server

/// Relays a connection to the name server.
final class NameServerRelay: Relay {
  private let front: Front
  private unowned let connection: FrontConnection
  private var frames = RemotingFrameReader(frameBytesMax: frameBytesMax)
  private let headers = RemotingHeaderReader()
  /// What shards have sent of frames that are not whole.
  private var unfinished: [Int: [UInt8]] = [:]

  /// What is asked of a name server is short.
  private static let frameBytesMax = 1 << 20
  private static let retryPrefix = "%RETRY%"

  init(_ front: Front, _ connection: FrontConnection) {
    self.front = front
    self.connection = connection
  }

  var heldBytes: Int { frames.bufferedBytes }

  func clientSent(_ bytes: UnsafeRawBufferPointer) {
    frames.append(bytes)
    do throws(RemotingError) {
      while let frame = try frames.next() {
        connection.openByMs = nil
        take(frame, try headers.read(frame))
      }
    } catch {
      // Where the next frame begins, or whose request this is, is not known.
      connection.close()
    }
  }

  private func take(_ frame: RemotingFrame, _ header: RemotingHeader) {
    let topic = header.fields.string("topic")
    if header.request == .getRouteInfoByTopic, let topic, topic.starts(with: Self.retryPrefix.utf8) {
      return answerWithAllBrokers(header)
    }
    let shard = topic.map { front.places.shard(ofTopic: $0) } ?? 0
    guard front.reach(shard, .remoting, for: connection) else { return refuse(header, shard) }
    var bytes = ByteBuffer(capacity: 8 + frame.header.count + frame.body.count)
    bytes.append(bigEndian: UInt32(4 + frame.header.count + frame.body.count))
    bytes.append(bigEndian: UInt32(frame.serialization.rawValue) << 24 | UInt32(frame.header.count))
    bytes.append(frame.header)
    bytes.append(frame.body)
    connection.send(to: shard, bytes.readable)
  }

  private func refuse(_ header: RemotingHeader, _ shard: Int) {
    connection.send { out in
      let remark = "nobody leads shard \(shard) of the cluster at the moment; ask again soon"
      var frame = RemotingFrameWriter(response: .systemBusy, to: header, remark: remark, &out)
      frame.endHeader(&out)
      frame.end(&out)
    }
  }

  private func answerWithAllBrokers(_ header: RemotingHeader) {
    let brokers = front.shards.map(\.view).compactMap { view -> RouteInfo.Broker? in
      guard let leader = view.status.leader, let address = NodePlaces(leader.address).broker(ofShard: view.number)
      else {
        return nil
      }
      return RouteInfo.Broker(
        name: ShardPlace.brokerName(view.number), cluster: ShardPlace.brokerCluster,
        addresses: [(number: 0, address: address.text)])
    }
    let queues = brokers.map {
      RouteInfo.Queues(broker: $0.name, permission: [.read, .write], readCount: 1, writeCount: 1)
    }
    connection.send { out in
      var frame = RemotingFrameWriter(response: .success, to: header, &out)
      frame.endHeader(&out)
      out.append(RouteInfo(brokers: brokers, queues: queues))
      frame.end(&out)
    }
  }

  func clientEnded() { connection.close() }

  /// Answers name their requests, so that those of several shards may come in any order, but whole.
  func shardSent(_ shard: Int, _ bytes: UnsafeRawBufferPointer) {
    var whole = (unfinished.removeValue(forKey: shard) ?? []) + bytes
    var end = 0
    while whole.count - end >= 4 {
      let length = whole[end..<(end + 4)].reduce(0) { $0 << 8 | Int($1) }
      guard whole.count - end >= 4 + length else { break }
      end += 4 + length
    }
    whole[..<end].withUnsafeBytes { connection.send($0) }
    whole.removeFirst(end)
    if !whole.isEmpty { unfinished[shard] = whole }
  }

  func shardEnded(_ shard: Int) { connection.close() }
}
