// Tells the leaders of shards that this node is there, and how far its checkpoints reach: at once and each minute, so that they
// truncate no more of the logs than nobody needs.
//
//     {"op":"cluster.note","shard":3,"node":"b","address":"192.0.2.2:7611","sequence":1234,"secret":"…"}
//
// A thread of its own with connections that block: what it does is rare and may take its time.
// Leaves to others: what becomes of a note (ReplicatedLog).

import Cluster
import LineProtocol
import Platform
import Primitives
import Server
import Synchronization
import TLS

/// The thread that sends notes.
final class NoteSender: @unchecked Sendable {
  private let settings: NodeSettings
  private let shards: [ShardLoop]
  private let wake: EventSignal
  private let isStopping = Atomic(false)
  private var thread: Thread?
  /// The note of each shard that its leader has taken, and when, in ms since boot.
  private var told: [Int: (note: CheckpointNote, leader: String, atMs: Int64)] = [:]

  private static let lookNs: Int64 = 2_000_000_000
  private static let againMs: Int64 = 60_000

  init(_ settings: NodeSettings, _ shards: [ShardLoop]) throws(SystemError) {
    self.settings = settings
    self.shards = shards
    wake = try EventSignal()
  }

  func start() throws(SystemError) {
    thread = try Thread(name: "notes") { [self] in
      while !isStopping.load(ordering: .acquiring) {
        for shard in shards where !isStopping.load(ordering: .acquiring) { look(at: shard.view) }
        wake.wait(timeoutNs: Self.lookNs)
      }
    }
  }

  func stop() {
    isStopping.store(true, ordering: .releasing)
    wake.raise()
    thread?.join()
  }

  private func look(at view: ShardView) {
    guard view.role == "following", let leader = view.leader(otherThan: settings.name) else { return }
    let note = view.status.checkpoint
    let nowMs = SystemClock.bootNs() / TimeUnits.nsPerMs
    if let before = told[view.number], before.note == note, before.leader == leader.node,
      nowMs - before.atMs < Self.againMs
    {
      return
    }
    guard let address = NodeAddress(NodePlaces(leader.address).line),
      send(Self.line(note, view.number, settings.secret), to: address)
    else { return }
    told[view.number] = (note, leader.node, nowMs)
  }

  private static func line(_ note: CheckpointNote, _ shard: Int, _ secret: String?) -> [UInt8] {
    var out = ByteBuffer(capacity: 256)
    out.append("{\"op\":\"cluster.note\",\"shard\":")
    out.appendInteger(Int64(shard))
    out.append(",\"node\":")
    out.appendJSONString(note.node)
    out.append(",\"address\":")
    out.appendJSONString(note.address)
    out.append(",\"sequence\":")
    out.appendInteger(note.streamSequence)
    NodeSecret.append(secret, to: &out)
    out.append("}\n")
    return Array(out.readable)
  }

  /// Whether the other side has said that it has taken the line.
  private func send(_ line: [UInt8], to address: NodeAddress) -> Bool {
    guard let descriptor = try? Socket.beginConnect(host: address.host, port: address.port, attempt: 0) else {
      return false
    }
    defer { Socket.close(descriptor) }
    let endNs = SystemClock.bootNs() + Self.lookNs
    var secure: SecureSide?
    if let context = settings.peerTLS {
      guard let channel = try? TLSChannel(clientOf: context, host: address.host) else { return false }
      secure = SecureSide(channel, openByMs: endNs / TimeUnits.nsPerMs)
      _ = channel.handshake()
    }
    return Exchange(descriptor, secure, endNs).ask(line)
  }
}

/// One line and its answer, over a connection that is being made.
private struct Exchange {
  private let socket: FrontSocket
  private let descriptor: Int32
  private let endNs: Int64

  init(_ descriptor: Int32, _ secure: SecureSide?, _ endNs: Int64) {
    self.descriptor = descriptor
    self.endNs = endNs
    socket = FrontSocket(descriptor, generation: 0, .shard(0), nil, secure: secure)
  }

  func ask(_ line: [UInt8]) -> Bool {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 16)
    defer { buffer.deallocate() }
    line.withUnsafeBytes { socket.output.append($0) }
    var answer: [UInt8] = []
    while SystemClock.bootNs() < endNs, !socket.isGone, !socket.inputEnded {
      socket.flush()
      _ = Socket.waitReadable(descriptor, timeoutNs: socket.isBlocked ? 10_000_000 : 200_000_000)
      socket.receive(buffer) { answer += $0 }
      if answer.contains(UInt8(ascii: "\n")) { return answer.starts(with: "{\"ok\":true".utf8) }
    }
    return false
  }
}
