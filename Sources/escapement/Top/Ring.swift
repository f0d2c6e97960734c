// A wheel as it is drawn, in memory or on disk: sectors with what lies in them, and where its hand stands.

import EscapementClient

struct Ring {
  let name: String
  /// The length of one slot.
  let slotMs: Int64
  /// The length of one turn.
  let turnMs: Int64
  /// Messages in it.
  let pending: Int64
  /// Messages of each sector, from the top of the dial on.
  let sectors: [Int64]
  /// Where the hand stands, 0 up to 1 of a turn.
  let hand: Double

  /// How many slices of a level on disk make a turn.
  private static let slicesInTurn: Int64 = 64

  /// The wheels of a server, from the finest up.
  static func all(_ inside: ServerOverview.Inside, nowMs: Int64) -> [Ring] {
    inside.levels.map { Ring($0, sectors: inside.sectors, nowMs: nowMs) }
      + Dictionary(grouping: inside.slices, by: \.level).sorted { $0.key < $1.key }
      .compactMap { Ring(level: $0.key, slices: $0.value, nowMs: nowMs) }
  }

  private init(_ level: WheelInfo.Level, sectors count: Int64, nowMs: Int64) {
    name = "wheel \(level.level)"
    slotMs = level.tickMs
    turnMs = level.intervalMs
    pending = level.pending
    var sectors = [Int64](repeating: 0, count: Int(min(max(1, count), 1024)))
    for pair in level.slots where pair.count == 2 && sectors.indices.contains(Int(clamping: pair[0])) {
      sectors[Int(pair[0])] &+= pair[1]
    }
    self.sectors = sectors
    hand = Self.part(nowMs, ofTurn: turnMs)
  }

  private init?(level: Int64, slices: [ServerOverview.Slice], nowMs: Int64) {
    // A slice of the last level may be cut off by the end of time.
    guard let widthMs = slices.map({ $0.endMs &- $0.startMs }).max(), widthMs > 0 else { return nil }
    let turn = widthMs.multipliedReportingOverflow(by: Self.slicesInTurn)
    name = "disk \(level + 1)"
    slotMs = widthMs
    turnMs = turn.overflow ? .max : turn.partialValue
    pending = slices.reduce(0) { $0 &+ $1.pending }
    var sectors = [Int64](repeating: 0, count: Int(Self.slicesInTurn))
    for slice in slices { sectors[Int(abs(slice.startMs / widthMs % Self.slicesInTurn))] &+= slice.pending }
    self.sectors = sectors
    hand = Self.part(nowMs, ofTurn: turnMs)
  }

  private static func part(_ nowMs: Int64, ofTurn turnMs: Int64) -> Double {
    turnMs > 0 ? Double(nowMs % turnMs) / Double(turnMs) : 0
  }

  /// The sectors from the hand on, once around, as so many columns.
  func ahead(columns: Int) -> [Int64] {
    var counts = [Int64](repeating: 0, count: columns)
    let first = Int(hand * Double(sectors.count))
    for step in sectors.indices {
      counts[step * columns / sectors.count] &+= sectors[(first + step) % sectors.count]
    }
    return counts
  }
}
