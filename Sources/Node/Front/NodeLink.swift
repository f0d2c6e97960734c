// A connection to another node for threads that may wait: lines of the line protocol, and what follows one.
//
//     {"op":"cluster.note","shard":3,"node":"b","address":"192.0.2.2:7611","sequence":1234,"isReady":true,"secret":"…"}
//     {"op":"cluster.copy","shard":3,"node":"b","address":"192.0.2.2:7611","secret":"…"}
//
// Leaves to others: answering (LineRelay), when something is said (NoteSender, FolderFetch, FolderGift).

import Cluster
import LineProtocol
import Platform
import Primitives
import Server
import TLS

/// A connection to another node. One thread's own.
final class NodeLink {
  private let socket: FrontSocket
  private let descriptor: Int32
  private let buffer: UnsafeMutableRawBufferPointer
  /// Why the last line was not answered well.
  private(set) var refusal = "no answer"

  private static let answerNs: Int64 = 2_000_000_000
  private static let answerBytesMax = 4096

  /// Begins to connect; nil when that cannot be.
  init?(to address: NodeAddress, _ settings: NodeSettings) {
    guard let descriptor = try? Socket.beginConnect(host: address.host, port: address.port, attempt: 0) else {
      return nil
    }
    var secure: SecureSide?
    if let context = settings.peerTLS {
      guard let channel = try? TLSChannel(clientOf: context, host: address.host) else {
        Socket.close(descriptor)
        return nil
      }
      secure = SecureSide(channel, openByMs: (SystemClock.bootNs() + Self.answerNs) / TimeUnits.nsPerMs)
      _ = channel.handshake()
    }
    self.descriptor = descriptor
    socket = FrontSocket(descriptor, generation: 0, .shard(0), nil, secure: secure)
    buffer = .allocate(byteCount: 256 << 10, alignment: 16)
  }

  deinit {
    Socket.close(descriptor)
    buffer.deallocate()
  }

  /// Whether the other side may still send something.
  var isOpen: Bool { !socket.isGone && !socket.inputEnded }

  /// Sends a line.
  ///
  /// - Returns: what came behind the answer, when that was good; nil when it was not, or did not come in time.
  func ask(_ line: borrowing ByteBuffer) -> [UInt8]? {
    socket.output.append(line.readable)
    let endNs = SystemClock.bootNs() + Self.answerNs
    var answer: [UInt8] = []
    while isOpen, SystemClock.bootNs() < endNs {
      receive(withinNs: 200_000_000) { answer += $0 }
      guard let newline = answer.firstIndex(of: UInt8(ascii: "\n")) else {
        if answer.count > Self.answerBytesMax { return nil }
        continue
      }
      if answer.starts(with: "{\"ok\":true".utf8) { return Array(answer[(newline + 1)...]) }
      refusal = String(decoding: answer[..<newline], as: UTF8.self)
      return nil
    }
    return nil
  }

  /// Gives what comes to `take`, in pieces that are good during the call.
  func receive(withinNs timeoutNs: Int64, _ take: (UnsafeRawBufferPointer) -> Void) {
    socket.flush()
    _ = Socket.waitReadable(descriptor, timeoutNs: socket.isBlocked ? 10_000_000 : timeoutNs)
    socket.receive(buffer, take)
  }

  // MARK: Lines

  /// Tells a leader of a node's checkpoint; whether it has taken it.
  static func tell(_ note: CheckpointNote, ofShard shard: Int, to leader: EpochStart, _ settings: NodeSettings) -> Bool
  {
    guard let address = NodeAddress(NodePlaces(leader.address).line), let link = NodeLink(to: address, settings) else {
      return false
    }
    var line = beginLine("cluster.note", shard, node: note.node, address: note.address, settings)
    line.append(",\"sequence\":")
    line.appendInteger(note.streamSequence)
    line.append(note.isReady ? ",\"isReady\":true}\n" : "}\n")
    return link.ask(line) != nil
  }

  /// A line that asks for the folder of a shard.
  static func copyLine(ofShard shard: Int, for note: CheckpointNote, _ settings: NodeSettings) -> ByteBuffer {
    var line = beginLine("cluster.copy", shard, node: note.node, address: note.address, settings)
    line.append("}\n")
    return line
  }

  private static func beginLine(
    _ operation: String, _ shard: Int, node: String, address: String, _ settings: NodeSettings
  ) -> ByteBuffer {
    var out = ByteBuffer(capacity: 256)
    out.append("{\"op\":")
    out.appendJSONString(operation)
    out.append(",\"shard\":")
    out.appendInteger(Int64(shard))
    out.append(",\"node\":")
    out.appendJSONString(node)
    out.append(",\"address\":")
    out.appendJSONString(address)
    NodeSecret.append(settings.secret, to: &out)
    return out
  }
}
