// The bytes of one file, as programs see them and as a loss of power would leave them.
//
// Holds: each 512-byte sector of the disk holds some state that the sector has gone through since the last sync, never a
// mixture; sectors are independent of each other, which covers lost, torn and reordered writes. The same goes for the length.
// Leaves to others: names (SimulatedStorage).

/// One file without its name.
struct SimulatedFile {
  static let sectorBytes = 512

  enum Change {
    case write(offset: Int, bytes: [UInt8])
    case resize(bytes: Int)
  }

  /// What programs read.
  private(set) var content: [UInt8] = []
  /// What is on the disk for certain.
  private var durable: [UInt8] = []
  private var pending: [Change] = []

  var hasUnsyncedChanges: Bool { !pending.isEmpty }

  /// The length after a write.
  func bytes(afterWriteAt offset: Int, count: Int) -> Int { max(content.count, offset + count) }

  mutating func apply(_ change: Change) {
    Self.apply(change, to: &content)
    pending.append(change)
  }

  /// All that has been written is durable from now on.
  mutating func sync() {
    durable = content
    pending = []
  }

  /// A sync that failed: what had not reached the disk by then never will, though programs go on reading it.
  mutating func failSync(_ random: inout SplitMix64) {
    durable = afterCrash(&random)
    pending = []
  }

  mutating func flip(bit: Int, at offset: Int) {
    content[offset] ^= 1 << UInt8(bit)
    if offset < durable.count { durable[offset] ^= 1 << UInt8(bit) }
  }

  /// A state that the disk may be in after a loss of power.
  func afterCrash(_ random: inout SplitMix64) -> [UInt8] {
    if pending.isEmpty { return durable }
    // The extremes are more telling than their frequency among all states.
    switch random.next() % 5 {
    case 0: return durable
    case 1: return content
    case 2: return states(upTo: Int(random.next() % UInt64(pending.count + 1)))
    default: return sectorwise(&random)
    }
  }

  /// The first `count` changes happened, the others did not.
  private func states(upTo count: Int) -> [UInt8] {
    var bytes = durable
    for change in pending.prefix(count) { Self.apply(change, to: &bytes) }
    return bytes
  }

  /// Every sector, and the length, stopped at a change of its own.
  private func sectorwise(_ random: inout SplitMix64) -> [UInt8] {
    let lengths = lengthHistory()
    var bytes = durable
    let longest = lengths.max() ?? 0
    Self.resize(&bytes, to: longest)
    var touched: [Int: Int] = [:]
    for change in pending {
      for sector in sectors(of: change, longest: longest) where touched[sector] == nil {
        touched[sector] = Int(random.next() % UInt64(pending.count + 1))
      }
    }
    for (sector, stop) in touched {
      for change in pending.prefix(stop) { apply(change, to: &bytes, sector: sector) }
    }
    Self.resize(&bytes, to: lengths[Int(random.next() % UInt64(lengths.count))])
    return bytes
  }

  private func lengthHistory() -> [Int] {
    var lengths = [durable.count]
    for change in pending {
      switch change {
      case .write(let offset, let bytes): lengths.append(max(lengths.last!, offset + bytes.count))
      case .resize(let bytes): lengths.append(bytes)
      }
    }
    return lengths
  }

  private func sectors(of change: Change, longest: Int) -> Range<Int> {
    switch change {
    case .write(let offset, let bytes):
      bytes.isEmpty ? 0..<0 : offset / Self.sectorBytes..<(offset + bytes.count - 1) / Self.sectorBytes + 1
    case .resize(let bytes):
      bytes >= longest ? 0..<0 : bytes / Self.sectorBytes..<(longest - 1) / Self.sectorBytes + 1
    }
  }

  /// The part of a change that falls into one sector; `target` is as long as the file has ever been.
  private func apply(_ change: Change, to target: inout [UInt8], sector: Int) {
    let start = sector * Self.sectorBytes
    let end = min(start + Self.sectorBytes, target.count)
    switch change {
    case .write(let offset, let bytes):
      let from = max(start, offset)
      let to = min(end, offset + bytes.count)
      if from < to { target.replaceSubrange(from..<to, with: bytes[from - offset..<to - offset]) }
    case .resize(let bytes):
      let from = max(start, bytes)
      if from < end { target.replaceSubrange(from..<end, with: repeatElement(0, count: end - from)) }
    }
  }

  private static func apply(_ change: Change, to target: inout [UInt8]) {
    switch change {
    case .write(let offset, let bytes):
      if target.count < offset + bytes.count { resize(&target, to: offset + bytes.count) }
      target.replaceSubrange(offset..<offset + bytes.count, with: bytes)
    case .resize(let bytes): resize(&target, to: bytes)
    }
  }

  private static func resize(_ target: inout [UInt8], to bytes: Int) {
    if bytes < target.count {
      target.removeLast(target.count - bytes)
    } else {
      target.append(contentsOf: repeatElement(0, count: bytes - target.count))
    }
  }
}

extension SimulatedFile {
  /// A file that has always been on the disk.
  init(durable bytes: [UInt8]) {
    content = bytes
    durable = bytes
  }
}
