// What must be true of a wheel between two calls, checked the slow way: for tests and simulations.
//
// Holds: every statement of the file headers of this module that can be seen in the data.
// Leaves to others: order of insertion and never-early, which only a model can judge (the tests).

extension TimingWheel {
  /// Traps with a sentence when something is broken.
  /// - Complexity: O(slots + entries + indices ever used).
  public func checkInvariants() {
    var live = 0
    var chunkCount = 0
    for level in 0...topLevel {
      var anyOccupied = false
      for slot in 0..<levels[level].occupied.bitCount {
        let contents = slots[levels[level].firstSlot + slot]
        precondition(
          levels[level].occupied.contains(slot) == (contents.head != nil), "the bitmap shows what is occupied")
        guard contents.head != nil else {
          precondition(contents.count == 0 && contents.dead == 0 && contents.cursor == nil, "an empty slot is all zero")
          continue
        }
        anyOccupied = true
        chunkCount += checkSlot(contents, level, slot)
        live += contents.count - contents.dead
      }
      precondition(
        (occupiedLevels >> UInt64(level)) & 1 == (anyOccupied ? 1 : 0), "the level mask shows what is occupied")
      checkSummary(levels[level].occupied)
    }
    precondition(live == count, "every waiting timer has exactly one entry")
    precondition(chunkCount == chunks.inUse, "every chunk in use is in one chain")
    checkNodes()
  }

  /// Checks one occupied slot; gives the number of its chunks.
  private func checkSlot(_ contents: Slot, _ level: Int, _ slot: Int) -> Int {
    let location = UInt32(levels[level].firstSlot + slot)
    var entryCount = 0
    var liveCount = 0
    var chunkCount = 0
    var rest = contents.head
    while let chunk = rest {
      chunkCount += 1
      let entries = contents.entries(of: chunk)
      rest = Chunk.next(of: chunk)
      precondition(!entries.isEmpty, "no chunk of a chain is empty")
      precondition(rest == nil || entries.count == Chunk.capacity, "all chunks but the last are full")
      entryCount += entries.count
      for entry in entries where nodes.isWaiting(entry.id) {
        liveCount += 1
        precondition(nodes.node(entry.id.index).pointee.location == location, "a node knows the slot of its entry")
        checkPlace(fireTick(dueMs: entry.dueMs), level, slot)
      }
    }
    precondition(entryCount == contents.count, "a slot counts its entries")
    precondition(liveCount == contents.count - contents.dead, "a slot counts its dead")
    precondition(liveCount > 0, "an occupied slot has a waiting timer")
    precondition(
      contents.dead <= max(liveCount, Chunk.capacity), "the dead outnumber the living by a chunk at most")
    return chunkCount
  }

  private func checkPlace(_ tick: UInt64, _ level: Int, _ slot: Int) {
    if level == 0 {
      precondition(tick <= nowTick, "what is due now is due")
    } else {
      let number = slotNumber(tick, level)
      let current = slotNumber(nowTick, level)
      precondition(number >= current, "no timer lies behind the current time")
      precondition(number - current < UInt64(wheelSize), "a timer lies within its level's window")
      precondition(number > current || level == 1, "of the current time only the tick itself is in a slot")
      precondition(self.slot(number) == slot, "a timer lies in the slot of its due time")
    }
  }

  private func checkSummary(_ bitmap: OccupancyBitmap) {
    for word in 0..<bitmap.wordCount {
      let summaryBit = bitmap.summary[word / 64] >> UInt64(word % 64) & 1
      precondition((bitmap.words[word] != 0) == (summaryBit == 1), "a summary bit stands for a word that is not zero")
    }
  }

  private func checkNodes() {
    var waiting = 0
    for index in 0..<nodes.count where nodes.node(index).pointee.generation & 1 == 1 { waiting += 1 }
    precondition(waiting == count, "the waiting nodes are the waiting timers")
    precondition(
      Int(nodes.freeCount) + waiting + nodes.retiredCount == Int(nodes.count),
      "an index is free, waiting or retired")
    var isFree = [Bool](repeating: false, count: Int(nodes.count))
    for position in 0..<nodes.freeCount {
      let next = nodes.freePlace(position).pointee
      let index = next.index
      precondition(!isFree[Int(index)], "an index is free once")
      let generation = nodes.node(index).pointee.generation
      precondition(generation & 1 == 0, "a free index has no waiting timer")
      precondition(next.generation == generation + 1, "the free stack knows the next generation")
      isFree[Int(index)] = true
    }
  }
}
