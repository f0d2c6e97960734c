// The fold against a dumb model: the list of all entries that were stored, gone through by the rules with nothing clever.

import Cluster
import DecisionLog
import Primitives
import ReplicatedStream
import SeededRandom
import TestSeeds
import Testing

@Suite("the fold") struct FoldTests {
  /// What leaders wrote, in the order of the stream, void entries among it.
  private struct Written {
    var messages: [[UInt8]] = []
    /// Which of them count, and the frames that are complete, as the model has it.
    var valid: [Int] = []
    var frames: [UInt8] = []

    init(seed: UInt64) {
      var random = SplitMix64(seed: seed)
      var fold = Fold()
      var deposed: [[UInt8]] = []
      var open: [UInt8] = []
      for number in 0..<6 {
        var leader = Leader(behind: fold, node: "n\(number)")
        let beginning = leader.begin()
        add(beginning, isValid: true, &fold)
        if Bool.random(using: &random) { add(beginning, isValid: false, &fold) }
        open = []
        var late = deposed
        deposed = []
        for _ in 0..<Int.random(in: 0...12, using: &random) {
          // What the leaders before had on their way is stored, in order, in the gaps; and everything twice now and then.
          while !late.isEmpty, Bool.random(using: &random) { add(late.removeFirst(), isValid: false, &fold) }
          let message = leader.next(&random)
          add(message, isValid: true, &fold)
          take(message, &open)
          if Int.random(in: 0..<5, using: &random) == 0 { add(message, isValid: false, &fold) }
        }
        for _ in 0..<Int.random(in: 0...4, using: &random) { deposed.append(leader.next(&random)) }
        // Behind a hole: the first of these was never stored.
        if !deposed.isEmpty, Bool.random(using: &random) {
          deposed.removeFirst()
          while !deposed.isEmpty, Bool.random(using: &random) { add(deposed.removeFirst(), isValid: false, &fold) }
        }
      }
    }

    private mutating func add(_ message: [UInt8], isValid: Bool, _ fold: inout Fold) {
      messages.append(message)
      if isValid {
        valid.append(messages.count - 1)
        _ = fold.fold(message, at: UInt64(messages.count))
      } else {
        _ = fold.fold(message, at: UInt64(messages.count))
      }
    }

    private mutating func take(_ message: [UInt8], _ open: inout [UInt8]) {
      guard let entry = Entry(decoding: message), entry.kind == .records else { return }
      open += message[Entry.headerBytes...]
      for _ in 0..<entry.endedRecords {
        let length = open.withUnsafeBytes { Int(UInt32(littleEndian: $0.loadUnaligned(as: UInt32.self))) }
        frames += open[..<length]
        open = Array(open[length...])
      }
    }
  }

  /// Folds messages numbered from 1, and gives what is valid, and the frames.
  private func fold(_ messages: [[UInt8]]) -> (fold: Fold, valid: [Int], frames: [UInt8]) {
    var fold = Fold()
    var valid: [Int] = []
    var frames: [UInt8] = []
    for (place, message) in messages.enumerated() {
      switch fold.fold(message, at: UInt64(place + 1)) {
      case .valid(_, .records(let more)):
        frames += more
        valid.append(place)
      case .valid: valid.append(place)
      case .void: break
      case let other: Issue.record("message \(place + 1): \(other)")
      }
    }
    return (fold, valid, frames)
  }

  @Test("finds what the model finds, and a fold of what it found is the same", arguments: Seeds.some(200))
  func model(seed: UInt64) {
    let written = Written(seed: seed)
    let (fold, valid, frames) = fold(written.messages)
    #expect(valid == written.valid && frames == written.frames, Seeds.replay(seed, "FoldTests/model"))
    #expect(fold.voidCount == written.messages.count - valid.count && fold.validCount == valid.count)
    let again = self.fold(valid.map { written.messages[$0] })
    #expect(again.fold.voidCount == 0 && again.frames == frames)
    var there = again.fold.position
    there.streamSequence = fold.position.streamSequence
    #expect(there == fold.position && again.fold.leader == fold.leader && again.fold.serviceMs == fold.serviceMs)
  }

  @Test("does not depend on who brings a message, or how often", arguments: Seeds.some(50))
  func repeated(seed: UInt64) {
    let written = Written(seed: seed)
    var random = SplitMix64(seed: seed &* 7)
    let straight = fold(written.messages).fold
    var fold = Fold()
    for _ in 0..<20 * written.messages.count where fold.position.streamSequence < UInt64(written.messages.count) {
      let next = fold.position.streamSequence + 1
      let sequence = UInt64.random(
        in: max(1, next &- min(next, 3))...min(next + 2, UInt64(written.messages.count)), using: &random)
      let before = fold.position
      let verdict = fold.fold(written.messages[Int(sequence - 1)], at: sequence)
      if sequence < next { #expect(verdict == .known && fold.position == before) }
      if sequence > next { #expect(verdict == .gap && fold.position == before) }
    }
    #expect(fold.position == straight.position && fold.voidCount == straight.voidCount)
  }

  @Test("goes on from each position outside of a record", arguments: Seeds.some(30))
  func resumes(seed: UInt64) {
    let written = Written(seed: seed)
    let whole = fold(written.messages).fold
    var fold = Fold()
    for (place, message) in written.messages.enumerated() {
      _ = fold.fold(message, at: UInt64(place + 1))
      if fold.isWithinRecord { continue }
      var resumed = Fold(from: fold.position, identity: fold.identity)
      for later in (place + 1)..<written.messages.count {
        if case .stop(let fault) = resumed.fold(written.messages[later], at: UInt64(later + 1)) {
          Issue.record("\(fault) behind \(place + 1); \(Seeds.replay(seed, "FoldTests/resumes"))")
        }
      }
      #expect(resumed.position == whole.position)
    }
  }

  @Test("an epoch in the place of one of several messages on their way: those behind it are stored, and void")
  func epochBetween() throws {
    var random = SplitMix64(seed: 1)
    var fold = Fold()
    var old = Leader(behind: fold, node: "old")
    var stream = [old.begin()]
    _ = fold.fold(stream[0], at: 1)
    // 2 … 5 are on their way when the new leader's epoch takes the place of 2: 3, 4 and 5 fit behind it.
    let flying = (0..<4).map { _ in old.next(&random) }
    var new = Leader(behind: fold, node: "new")
    stream += [new.begin()] + flying.dropFirst()
    for (place, message) in stream.enumerated().dropFirst() {
      let verdict = fold.fold(message, at: UInt64(place + 1))
      if place > 1 { #expect(verdict == .void) }
    }
    #expect(fold.leader?.node == "new" && fold.position.epoch == 2 && fold.position.index == 0)
    #expect(fold.voidCount == 3 && fold.position.nextRecord == 1)
    if case .valid = fold.fold(new.next(&random), at: 6) {} else { Issue.record("the new leader goes on") }
  }

  @Test("a record of many parts is dropped by an epoch, and its number is used again")
  func partsAcrossEpochs() throws {
    let buffer = RecordBuffer()
    buffer.begin(7)
    for word in 0..<1000 { buffer.append(UInt64(word)) }
    buffer.finish()
    let whole = buffer.bytesToWrite()
    let frame = Array(whole[RecordBuffer.frontBytes..<(whole.count - RecordBuffer.endBytes)])
    var fold = Fold()
    var old = Leader(behind: fold, node: "old")
    var sequence: UInt64 = 0
    func add(_ message: [UInt8]) -> Verdict {
      sequence += 1
      return fold.fold(message, at: sequence)
    }
    _ = add(old.begin())
    _ = add(old.writer.records(frame[..<3000], endedRecords: 0, goesOn: true, serviceMs: 1))
    #expect(fold.isWithinRecord)
    let late = old.writer.records(frame[3000...], endedRecords: 1, goesOn: false, serviceMs: 1)
    var new = Leader(behind: fold, node: "new")
    _ = add(new.begin())
    #expect(!fold.isWithinRecord && add(late) == .void)
    _ = add(new.writer.records(frame[..<16], endedRecords: 0, goesOn: true, serviceMs: 1))
    _ = add(new.writer.heartbeat(serviceMs: 1))
    let verdict = add(new.writer.records(frame[16...], endedRecords: 1, goesOn: false, serviceMs: 1))
    guard case .valid(_, .records(let frames)) = verdict else {
      Issue.record("\(verdict)")
      return
    }
    #expect(Array(frames) == frame && fold.position.nextRecord == 2)
  }

  @Test("stops at what does not continue it: chain, record, frames, identity, spoiled bytes")
  func stops() {
    var random = SplitMix64(seed: 3)
    var fold = Fold()
    var leader = Leader(behind: fold, node: "a")
    _ = fold.fold(leader.begin(), at: 1)
    func kind(_ message: [UInt8]) -> FoldFault.Kind? {
      var copy = fold
      guard case .stop(let fault) = copy.fold(message, at: 2) else { return nil }
      #expect(copy.position == fold.position)
      return fault.kind
    }
    let position = fold.position
    func entry(_ kind: Entry.Kind, chain: UInt64? = nil, first: Sequence = 1, ended: UInt32 = 0) -> Entry {
      Entry(
        kind, epoch: 1, index: 1, chain: chain ?? position.chain, serviceMs: 1, firstRecord: first, endedRecords: ended)
    }
    #expect(kind(entry(.heartbeat).encoded(body: [])) == nil)
    #expect(kind(entry(.heartbeat, chain: 1).encoded(body: [])) == .divergence)
    #expect(kind(entry(.records, first: 2).encoded(body: [])) == .divergence)
    #expect(kind(entry(.records, ended: 1).encoded(body: [])) == .divergence)
    #expect(kind(entry(.records).encoded(body: [1, 2, 3])) == .divergence)
    #expect(kind(entry(.heartbeat, ended: 1).encoded(body: [])) == .unreadable)
    #expect(kind(entry(.checkpointed).encoded(body: [1])) == .unreadable)
    #expect(kind(Array(leader.next(&random).dropLast())) == .unreadable)
    #expect(kind(Array("hello".utf8)) == .unreadable)
    let other = LogIdentity(store: StoreID(low: 9, high: 9), hashKey: someIdentity.hashKey)
    var writer = EntryWriter(behind: position, newEpoch: true)
    #expect(kind(writer.begin(EpochStart(identity: other, node: "x", address: ""), serviceMs: 1)) == .foreign)
  }

  @Test("goes on in the next generation of the log with all that its folder holds; without a folder it needs one")
  func generations() throws {
    var random = SplitMix64(seed: 4)
    var old = Fold()
    var leader = Leader(behind: old, node: "a")
    for sequence in UInt64(1)...30 {
      _ = old.fold(sequence == 1 ? leader.begin() : leader.next(&random), at: sequence)
    }
    let record = old.position.nextRecord - 1
    #expect(record > 0)
    let stream = StreamIdentity(name: "old", createdNs: 1)
    let mark = LogMark(stream: stream, position: old.position).nextGeneration(behind: record)
    let read = try #require(LogMark(decoding: mark.encoded()))
    #expect(read.knownStream == nil && LogMark(stream: stream, position: old.position).knownStream == stream)
    var next = Fold(from: read.position, identity: old.identity)
    var heir = Leader(behind: next, node: "b")
    let first = heir.begin()
    guard case .valid(_, .epoch) = next.fold(first, at: 1) else {
      Issue.record("the new stream does not go on")
      return
    }
    #expect(next.position.epoch == old.position.epoch + 1 && next.position.nextRecord == record + 1)
    var empty = Fold()
    #expect(empty.fold(first, at: 1) == .laterGeneration && empty.position == FoldPosition())
  }
}
