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
    #expect(simulation.broker.gauges.onDisk > 0, "something is far")
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

  @Test("a start with the index file reads no message that is far", arguments: [true, false])
  func readsNoSlice(hasFile: Bool) throws {
    let simulation = Simulation(seed: 3, turns: 60)
    simulation.settings.indexFileBytesMin = hasFile ? 0 : .max
    simulation.run()
    // Behind this one nothing is left of topics that the script has deleted.
    simulation.stopAndStart(losesPower: false)
    #expect(simulation.broker.gauges.onDisk > 0, "something is far")
    simulation.stopAndStart(losesPower: false) { disk in
      // The checksum of a record that no start behind this one will come near to.
      guard let slice = disk.paths.filter({ $0.hasSuffix(".slice") && !$0.hasPrefix("delay/0-") }).max() else { return }
      disk.flip(bit: 1, of: slice, at: 8)
    }
    #expect(simulation.isBroken == !hasFile)
  }
}
