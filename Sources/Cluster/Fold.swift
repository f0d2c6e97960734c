// The fold: which messages of the stream count, decided by everyone who reads them, alike.
//
// Rules, in the order in which they are asked:
//   - a message that does not follow the last one folded changes nothing: it is known, or something before it is missing;
//   - an entry that begins a higher epoch than the current one counts; a record that was not complete is dropped;
//   - any other entry counts when its epoch is the current one and its index the next one;
//   - everything else is void: it comes from a leader whose time was over, or is a second copy;
//   - an entry that counts and does not continue what was folded (chain, record sequence, frames, identity) means that the
//     stream, or what this node knows, is not what was written: the node must stop.
//
// The stream's own condition, "store this only behind that one", is no fence for a leader with several messages on their way:
// when another leader's epoch entry takes the place of one of them, those behind it fit again and are stored. They are void.
//
// Holds: a pure value: the same messages give the same state; folding the valid messages alone gives the same records.
// Leaves to others: getting messages (ReplicatedLog), what records mean (the broker).

import DecisionLog
import Primitives

/// A point between two messages of the stream: all that a reader must know to go on from there.
public struct FoldPosition: Equatable, Sendable {
  /// The last message of the stream before it; 0: at the beginning.
  public var streamSequence: UInt64 = 0
  /// The epoch; 0 before the first one.
  public var epoch: UInt64 = 0
  /// The last valid index of the epoch.
  public var index: UInt64 = 0
  /// The hash over all valid entries.
  public var chain: UInt64 = 0
  /// The first record that has not ended.
  public var nextRecord: Sequence = 1

  /// The beginning.
  public init() {}
}

/// What a message turned out to be.
public enum Verdict: Equatable, Sendable {
  /// It was folded before.
  case known
  /// Messages before it have not been folded yet. Nothing has changed.
  case gap
  /// It does not count.
  case void
  /// It counts.
  case valid(Entry, EntryContent)
  /// The stream is a later generation of the log, and this is its beginning: what was before it is in the folders of nodes only.
  /// Nothing has changed.
  case laterGeneration
  /// Nothing may be folded any more. Nothing has changed.
  case stop(FoldFault)
}

/// What a valid entry says.
public enum EntryContent: Equatable, Sendable {
  case epoch(EpochStart)
  /// Whole frames of the records from the entry's `firstRecord` on: none when the only one goes on.
  case records(frames: ArraySlice<UInt8>)
  case heartbeat
  case checkpointed(CheckpointNote)
  case resigned(to: String)
}

/// Why nothing may be folded any more.
public struct FoldFault: Error, Equatable, Sendable, CustomStringConvertible {
  /// What a caller can tell apart.
  public enum Kind: Sendable {
    /// The message is not what a leader wrote; another copy of it may be.
    case unreadable
    /// What was folded here is not what the leader had folded.
    case divergence
    /// The stream belongs to another log.
    case foreign
  }

  /// The kind of fault.
  public let kind: Kind
  /// What does not fit, and where.
  public let description: String
}

/// The state after some messages of the stream.
public struct Fold: Sendable {
  /// Where it stands.
  public private(set) var position: FoldPosition
  /// Who the log is; nil before the first epoch.
  public private(set) var identity: LogIdentity?
  /// Who leads; nil when no entry folded here has said it.
  public private(set) var leader: EpochStart?
  /// The highest service time of a valid entry.
  public private(set) var serviceMs: UnixMs = 0
  /// Valid entries folded.
  public private(set) var validCount = 0
  /// Void entries folded.
  public private(set) var voidCount = 0
  /// The beginning of a record that is not complete.
  private var unfinished: [UInt8] = []

  /// At the beginning of a stream.
  public init() { position = FoldPosition() }

  /// Goes on from a position at which no record was unfinished.
  ///
  /// - Parameter leader: who leads its epoch, if that is known.
  public init(from position: FoldPosition, identity: LogIdentity?, leader: EpochStart? = nil) {
    self.position = position
    self.identity = identity
    self.leader = leader
  }

  /// Whether a record has begun and not ended: its position cannot be gone on from.
  public var isWithinRecord: Bool { !unfinished.isEmpty }

  /// Folds the message that the stream has under `sequence`. O(message).
  public mutating func fold(_ message: [UInt8], at sequence: UInt64) -> Verdict {
    if sequence <= position.streamSequence { return .known }
    if sequence > position.streamSequence + 1 { return .gap }
    guard let entry = Entry(decoding: message) else {
      return stop(.unreadable, "message \(sequence) of the stream is not a whole entry of a version that is known")
    }
    let isEpoch = entry.kind == .epoch
    let counts =
      isEpoch
      ? entry.epoch > position.epoch && entry.index == 0
      : entry.epoch == position.epoch && entry.index == position.index + 1 && position.epoch > 0
    guard counts else {
      position.streamSequence = sequence
      voidCount += 1
      return .void
    }
    if isEpoch, position.epoch == 0, entry.chain != position.chain { return .laterGeneration }
    if let fault = misfit(entry, sequence) { return fault }
    let body = message[Entry.headerBytes...]
    let content: EntryContent
    switch entry.kind {
    case .epoch:
      guard let start = EpochStart(decoding: body) else { return unreadableBody(sequence) }
      if let identity, identity != start.identity {
        return stop(.foreign, "message \(sequence) of the stream begins an epoch of another log")
      }
      content = .epoch(start)
    case .records:
      switch takeFrames(entry, body, sequence) {
      case .success(let frames): content = .records(frames: frames)
      case .failure(let fault): return .stop(fault)
      }
    case .heartbeat: content = .heartbeat
    case .checkpointed:
      guard let note = CheckpointNote(decoding: body) else { return unreadableBody(sequence) }
      content = .checkpointed(note)
    case .resign: content = .resigned(to: String(decoding: body, as: UTF8.self))
    }
    accept(entry, content, message, sequence)
    return .valid(entry, content)
  }

  private mutating func accept(_ entry: Entry, _ content: EntryContent, _ message: [UInt8], _ sequence: UInt64) {
    if case .epoch(let start) = content {
      unfinished = []
      identity = start.identity
      leader = start
    }
    position.streamSequence = sequence
    position.epoch = entry.epoch
    position.index = entry.index
    position.chain = Entry.chain(behind: message, after: entry.chain)
    position.nextRecord = entry.firstRecord + Sequence(entry.endedRecords)
    serviceMs = max(serviceMs, entry.serviceMs)
    validCount += 1
  }

  private func misfit(_ entry: Entry, _ sequence: UInt64) -> Verdict? {
    let place = "message \(sequence) of the stream (epoch \(entry.epoch), index \(entry.index))"
    if entry.chain != position.chain {
      return stop(.divergence, "\(place) does not continue the entries that were read here before it")
    }
    if entry.firstRecord != position.nextRecord {
      return stop(
        .divergence, "\(place) goes on with record \(entry.firstRecord) where \(position.nextRecord) is the next one")
    }
    if entry.kind != .records, entry.endedRecords > 0 || entry.goesOn {
      return stop(.unreadable, "\(place) claims records and has none")
    }
    return nil
  }

  /// The whole frames that this entry completes or holds; what is left over stays for the next one.
  private mutating func takeFrames(
    _ entry: Entry, _ body: ArraySlice<UInt8>, _ sequence: UInt64
  ) -> Result<ArraySlice<UInt8>, FoldFault> {
    // A record of many parts is put together in place: copying it at each part would be quadratic.
    let isJoined = !unfinished.isEmpty
    if isJoined { unfinished.append(contentsOf: body) }
    let bytes = isJoined ? unfinished[...] : body
    let whole = bytes.withUnsafeBytes { Self.wholeFrames($0, from: entry.firstRecord) }
    let left = bytes.count - whole.bytes
    guard whole.count == Int(entry.endedRecords), entry.goesOn == (left > 0),
      left <= Frame.bytes(payloadBytes: Frame.payloadBytesMax)
    else {
      if isJoined { unfinished.removeLast(body.count) }
      let place = "message \(sequence) of the stream"
      return .failure(FoldFault(kind: .divergence, description: "\(place) does not hold the records that it claims"))
    }
    if isJoined && whole.bytes == 0 { return .success([]) }
    let end = bytes.startIndex + whole.bytes
    unfinished = Array(bytes[end...])
    return .success(bytes[..<end])
  }

  private static func wholeFrames(_ bytes: UnsafeRawBufferPointer, from first: Sequence) -> (count: Int, bytes: Int) {
    var place = 0
    var count = 0
    while place < bytes.count,
      case .frame(let frame) = FoundFrame.parse(UnsafeRawBufferPointer(rebasing: bytes[place...])),
      frame.sequence == first + Sequence(count)
    {
      place += frame.bytes
      count += 1
    }
    return (count, place)
  }

  private func unreadableBody(_ sequence: UInt64) -> Verdict {
    stop(.unreadable, "message \(sequence) of the stream is not what its kind says")
  }

  private func stop(_ kind: FoldFault.Kind, _ description: String) -> Verdict {
    .stop(FoldFault(kind: kind, description: description))
  }
}
