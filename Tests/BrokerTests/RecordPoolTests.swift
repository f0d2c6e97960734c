// Memory in blocks against a model: no two blocks overlap, what is written stays, and memory goes back.

import SeededRandom
import Testing

@testable import Broker

@Suite("memory of records")
struct RecordPoolTests {
  private struct Block {
    let memory: UnsafeMutableRawPointer
    let count: Int
    let mark: UInt8
  }

  private func fill(_ block: Block) {
    block.memory.initializeMemory(as: UInt8.self, repeating: block.mark, count: block.count)
  }

  private func isWhole(_ block: Block) -> Bool {
    UnsafeRawBufferPointer(start: block.memory, count: block.count).allSatisfy { $0 == block.mark }
  }

  @Test("blocks keep what is written into them", arguments: 1...8 as ClosedRange<UInt64>)
  func mixture(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let pool = RecordPool()
    var blocks: [Block] = []
    for _ in 0..<20_000 {
      if blocks.isEmpty || Int.random(in: 0..<5, using: &random) < 3 {
        let count = Int.random(in: 56...(Bool.random(using: &random) ? 400 : 3000), using: &random)
        let block = Block(memory: pool.allocate(count), count: count, mark: UInt8.random(in: 0...255, using: &random))
        fill(block)
        blocks.append(block)
      } else {
        let block = blocks.remove(at: Int.random(in: 0..<blocks.count, using: &random))
        #expect(isWhole(block))
        pool.free(block.memory, block.count)
      }
    }
    for block in blocks {
      #expect(isWhole(block))
      pool.free(block.memory, block.count)
    }
  }

  @Test("memory goes back when the blocks have come back, in any order", arguments: 1...4 as ClosedRange<UInt64>)
  func back(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let pool = RecordPool()
    var blocks = (0..<40_000).map { _ in pool.allocate(200) }
    let mostSlabs = pool.slabCount
    #expect(mostSlabs == (40_000 + 8190) / 8191)
    blocks.shuffle(using: &random)
    for block in blocks { pool.free(block, 200) }
    #expect(pool.slabCount == 1)
    blocks = (0..<40_000).map { _ in pool.allocate(256) }
    #expect(pool.slabCount == mostSlabs, "blocks of one size serve each other")
    for block in blocks { pool.free(block, 256) }
  }
}
