// Where in the stream a node goes on: what its checkpoint keeps for the log.
//
//    0  u8   version (2)
//    1  u64  when the stream was made, ns of Unix time; then u32 n and n bytes: its name
//    …  u64  last message of the stream before it
//    …  u64  epoch, u64 index, u64 chain, u64 first record that has not ended
//    …  who leads that epoch, as its first entry says it; nothing when that is not known
//
// All integers are little-endian.
//
// Holds: no record was unfinished there. A mark whose stream has no name stands in front of a stream that is not there yet: the
// next generation of the log, after the loss of the stream before it.
// Leaves to others: the identity of the log, which stands in the checkpoint itself.

import Primitives
import ReplicatedStream

/// A place in a stream to go on from.
public struct LogMark: Equatable, Sendable {
  /// Which stream.
  public var stream: StreamIdentity
  /// Where in it.
  public var position: FoldPosition
  /// Who leads the epoch of the position, so that a node that goes on from here knows it before the next epoch; nil when it is
  /// not known.
  public var leader: EpochStart?

  /// Puts them together.
  public init(stream: StreamIdentity, position: FoldPosition, leader: EpochStart? = nil) {
    self.stream = stream
    self.position = position
    self.leader = leader
  }

  /// The stream that the node goes on in; nil when it is to begin the next generation of the log.
  public var knownStream: StreamIdentity? { stream.name.isEmpty ? nil : stream }

  /// The mark with which a node goes on, in a new stream, with all that a checkpoint holds.
  ///
  /// - Parameter record: the last one that the checkpoint holds.
  public func nextGeneration(behind record: Sequence) -> LogMark {
    var mark = self
    mark.stream = StreamIdentity(name: "", createdNs: 0)
    mark.position.streamSequence = 0
    mark.position.nextRecord = record + 1
    return mark
  }

  /// The bytes.
  public func encoded() -> [UInt8] {
    var bytes: [UInt8] = [2]
    bytes.append(little: stream.createdNs)
    bytes.append(little: UInt32(stream.name.utf8.count))
    bytes += stream.name.utf8
    for word in [position.streamSequence, position.epoch, position.index, position.chain, position.nextRecord] {
      bytes.append(little: word)
    }
    return bytes + (leader?.encoded() ?? [])
  }

  /// Reads the bytes; nil when they are not a mark of a version that is known.
  public init?(decoding bytes: [UInt8]) {
    guard bytes.count >= 13, bytes[0] == 2 else { return nil }
    let nameEnd = 13 + Int(bytes.little(UInt32.self, at: 9))
    guard bytes.count >= nameEnd + 40 else { return nil }
    if bytes.count > nameEnd + 40 {
      guard let leader = EpochStart(decoding: bytes[(nameEnd + 40)...]) else { return nil }
      self.leader = leader
    }
    stream = StreamIdentity(
      name: String(decoding: bytes[13..<nameEnd], as: UTF8.self), createdNs: bytes.little(Int64.self, at: 1))
    func word(_ place: Int) -> UInt64 { bytes.little(UInt64.self, at: nameEnd + 8 * place) }
    position = FoldPosition()
    position.streamSequence = word(0)
    position.epoch = word(1)
    position.index = word(2)
    position.chain = word(3)
    position.nextRecord = word(4)
  }
}

/// The places of a stream that a checkpoint could go on from, for the records that have come lately.
struct LogMarks {
  /// One for about so many bytes of the stream: a start reads that much again, and no more is kept in memory.
  static let bytesApart = 4 << 10

  private var marks: [FoldPosition]
  private var bytesSinceLast = 0

  /// Begins with the place where this life began.
  init(_ first: FoldPosition) { marks = [first] }

  /// The place behind a message, at which no record is unfinished.
  mutating func add(_ position: FoldPosition, bytes: Int) {
    bytesSinceLast += bytes
    let adds = marks[marks.count - 1].nextRecord == position.nextRecord
    if adds { marks.removeLast() } else if marks.count > 1, bytesSinceLast < Self.bytesApart { return }
    marks.append(position)
    if !adds { bytesSinceLast = 0 }
  }

  /// The latest place known at which no record above `sequence` had ended. O(log marks).
  func place(before sequence: UInt64) -> FoldPosition? {
    marks.last { $0.nextRecord <= sequence + 1 }
  }

  /// Forgets places that no checkpoint from now on needs, when one that holds `sequence` is durable.
  mutating func forget(upTo sequence: UInt64) {
    while marks.count > 1, marks[1].nextRecord <= sequence + 1 { marks.removeFirst() }
  }
}
