// A leader without a log around it, and records to lead with.

import Cluster
import DecisionLog
import Primitives
import SeededRandom

let someIdentity = LogIdentity(store: StoreID(low: 1, high: 2), hashKey: StoreID(low: 3, high: 4))

/// Makes entries with records whose payloads are drawn.
struct Leader {
  var writer: EntryWriter
  let node: String
  private var bytes: [UInt8] = []
  private var nextRecord: Sequence

  /// One that begins the epoch behind what `fold` holds.
  init(behind fold: Fold, node: String) {
    writer = EntryWriter(behind: fold.position, newEpoch: true)
    nextRecord = fold.position.nextRecord
    self.node = node
  }

  mutating func begin() -> [UInt8] {
    writer.begin(EpochStart(identity: someIdentity, node: node, address: "\(node):1"), serviceMs: 1)
  }

  /// A heartbeat, or the next bytes of records, cut anywhere.
  mutating func next(_ random: inout SplitMix64) -> [UInt8] {
    if Int.random(in: 0..<4, using: &random) == 0, bytes.isEmpty { return writer.heartbeat(serviceMs: 1) }
    while bytes.count < 60 || Bool.random(using: &random) { addRecord(&random) }
    let cut = Int.random(in: 1...bytes.count, using: &random)
    let piece = bytes[..<cut]
    bytes = Array(bytes[cut...])
    return writer.records(piece, endedRecords: endings(cut), goesOn: openBytes > 0, serviceMs: 1)
  }

  /// The lengths of the frames that are not sent to their ends.
  private var frames: [Int] = []
  private var openBytes = 0

  private mutating func endings(_ cut: Int) -> Int {
    var left = cut + openBytes
    var ended = 0
    while let first = frames.first, left >= first {
      left -= first
      frames.removeFirst()
      ended += 1
    }
    openBytes = left
    return ended
  }

  private mutating func addRecord(_ random: inout SplitMix64) {
    let buffer = RecordBuffer()
    buffer.reset(nextSequence: nextRecord)
    buffer.begin(UInt8.random(in: 1...30, using: &random))
    for _ in 0..<Int.random(in: 0...20, using: &random) { buffer.append(random.next()) }
    buffer.finish()
    nextRecord += 1
    let whole = buffer.bytesToWrite()
    let frame = Array(whole[RecordBuffer.frontBytes..<(whole.count - RecordBuffer.endBytes)])
    frames.append(frame.count)
    bytes += frame
  }
}
