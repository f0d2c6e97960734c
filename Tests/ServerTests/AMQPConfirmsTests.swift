// Confirms: as few as possible, and together they say of every message what became of it.

import SeededRandom
import Testing

@testable import Server

@Suite("AMQP confirms")
struct AMQPConfirmsTests {
  private func told(_ confirms: inout AMQPConfirms) -> [String] {
    var told: [String] = []
    confirms.takeNews { isAccepted, number, isMultiple in
      told.append("\(isAccepted ? "ack" : "nack") \(number)\(isMultiple ? " multiple" : "")")
    }
    return told
  }

  @Test(
    "a turn's messages are told of in runs",
    arguments: [
      ("", []), ("+", ["ack 1"]), ("++", ["ack 2 multiple"]), ("-", ["nack 1"]), ("+-", ["ack 1", "nack 2"]),
      ("++-+", ["ack 2 multiple", "nack 3", "ack 4"]), ("--", ["nack 1", "nack 2"]),
      ("-+++", ["nack 1", "ack 4 multiple"]),
    ])
  func runs(messages: String, expected: [String]) {
    var confirms = AMQPConfirms()
    for message in messages { message == "+" ? confirms.accept() : confirms.refuse() }
    #expect(confirms.hasNews == !messages.isEmpty)
    #expect(told(&confirms) == expected)
    #expect(!confirms.hasNews)
    #expect(told(&confirms).isEmpty)
  }

  @Test("each message is told of once, and rightly", arguments: 1...50 as ClosedRange<UInt64>)
  func eachOnce(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var confirms = AMQPConfirms()
    var expected: [Bool] = []
    var outcome: [UInt64: Bool] = [:]
    for _ in 0..<200 {
      for _ in 0..<random.next(below: 6) {
        let isAccepted = random.next(below: 4) > 0
        isAccepted ? confirms.accept() : confirms.refuse()
        expected.append(isAccepted)
      }
      var told: UInt64 = UInt64(outcome.count)
      confirms.takeNews { isAccepted, number, isMultiple in
        #expect(number > told)
        // What a client makes of it: all that is outstanding up to the number, or the one.
        for one in isMultiple ? told + 1...number : number...number {
          #expect(outcome[one] == nil)
          outcome[one] = isAccepted
        }
        told = number
      }
    }
    #expect(outcome.count == expected.count)
    for (place, isAccepted) in expected.enumerated() { #expect(outcome[UInt64(place + 1)] == isAccepted) }
  }
}
