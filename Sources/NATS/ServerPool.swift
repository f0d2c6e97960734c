// Which server to try next, and when.
//
// Holds: every known server is tried once before one is tried again, in an order drawn anew for each round; the one that was
// left last comes last. Attempts are 0.05 to 1 s apart: close together in the first round, further with each that failed.
// Leaves to others: connecting, and what time it is.

/// The servers that are known.
struct ServerPool {
  // Half of what is drawn at most: clients that lost the same server do not come to the next one at the same moment.
  private static let firstPauseMs: Int64 = 100
  private static let longestPauseMs: Int64 = 1000

  private let own: [ServerAddress]
  private var told: [ServerAddress] = []
  private var round: [ServerAddress] = []
  private var failedRounds = 0
  private var randomness: Randomness

  init(_ own: [ServerAddress], seed: UInt64) {
    precondition(!own.isEmpty, "a client has a server to begin with")
    self.own = own
    randomness = Randomness(state: seed)
  }

  /// Takes the list of a server, instead of the last one.
  mutating func learn(_ urls: [String], from teller: ServerAddress) {
    told = []
    for address in urls.compactMap({ ServerAddress(told: $0, by: teller) })
    where !own.contains(where: address.isSamePlace) && !told.contains(where: address.isSamePlace) {
      told.append(address)
    }
  }

  var count: Int { own.count + told.count }

  /// Begins anew after a connection that stood: the pauses are short again.
  mutating func beginRound(avoiding last: ServerAddress?) {
    failedRounds = 0
    fillRound()
    // Taken from the end.
    guard let last, let place = round.firstIndex(where: last.isSamePlace) else { return }
    round.insert(round.remove(at: place), at: 0)
  }

  mutating func next() -> ServerAddress {
    if round.isEmpty {
      failedRounds += 1
      fillRound()
    }
    return round.removeLast()
  }

  /// How long to wait before the next attempt.
  mutating func pauseMs() -> Int64 {
    let longestMs = min(Self.longestPauseMs, Self.firstPauseMs << Int64(min(failedRounds, 8)))
    return Int64.random(in: (longestMs / 2)...longestMs, using: &randomness)
  }

  private mutating func fillRound() { round = (own + told).shuffled(using: &randomness) }

  /// Letters for a name that nobody else uses.
  mutating func drawName(letters: Int) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789".utf8)
    let drawn = (0..<letters).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &randomness)] }
    return String(decoding: drawn, as: UTF8.self)
  }
}

/// Numbers that follow from a seed.
///
/// - Source: Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014.
private struct Randomness: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
