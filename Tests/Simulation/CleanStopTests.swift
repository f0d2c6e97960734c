// Clean stops in the middle of everything: the next start takes its index from the file that the stop has written, or from the
// slices when power failed before that file was whole.

import DelayStore
import SimulatedDisk
import TestSeeds
import Testing

@Suite("clean stops")
struct CleanStopTests {
  @Test("a start behind a clean stop has all there was, whatever became of the index file", arguments: Seeds.some(25))
  func stops(seed: UInt64) {
    let simulation = Simulation(seed: seed, turns: 150)
    simulation.settings.indexFileBytesMin = 0
    var random = SplitMix64(seed: seed &* 17)
    simulation.run { number in
      if number % 9 == 8 { simulation.stopAndStart(losesPower: random.next() % 3 == 0) }
    }
    simulation.reckon()
    #expect(simulation.ledger.complaints == [], Seeds.replay(seed, "CleanStopTests/stops"))
    #expect(simulation.history.comparisons > 3, "starts were compared with what the running broker had")
  }

  @Test("a stop writes the index file when much is far, and the next checkpoint removes it")
  func fileComesAndGoes() throws {
    let simulation = Simulation(seed: 3, turns: 60)
    simulation.run()
    simulation.stopAndStart(losesPower: false)
    #expect(simulation.broker.gauges.pending > 0, "something is far")
    #expect(!simulation.disk.paths.contains(IndexFile.path), "little is far")
    simulation.settings.indexFileBytesMin = 0
    simulation.stopAndStart(losesPower: false)
    simulation.stopAndStart(losesPower: false)
    #expect(simulation.disk.paths.contains(IndexFile.path))
    simulation.settings.indexFileBytesMin = .max
    simulation.stopAndStart(losesPower: false)
    simulation.stopAndStart(losesPower: false)
    #expect(!simulation.disk.paths.contains(IndexFile.path), "it goes with a checkpoint that is not the last any more")
    simulation.reckon()
    #expect(simulation.ledger.complaints == [])
  }
}
