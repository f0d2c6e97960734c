// What clients do in a simulation, drawn from a seed before anything runs: the same script is run against a crash at each of
// its disk operations.
//
// Leaves to others: doing it (Simulation+Steps), judging it (Ledger).

import Broker
import Primitives
import SimulatedDisk

/// One thing that a client does.
enum Step {
  enum Due { case delay(Int64), after(Int64), past(Int64), onTheGrid(Int64) }

  case schedule(topic: Int, id: Int, due: Due, ifExists: IfExists, key: Int, tag: Int)
  case publish(topic: Int, id: Int, key: Int, tag: Int)
  case cancel(topic: Int, id: Int)
  case reschedule(topic: Int, id: Int, due: Due)
  case get(topic: Int, id: Int)
  case list(topic: Int)
  case subscribe(topic: Int, group: Int, credit: Int, ackWaitMs: Int64)
  case unsubscribe(Int)
  case fetch(topic: Int, group: Int, limit: Int, waitMs: Int64)
  case ack(Int)
  case ackUpTo(Int)
  case nack(Int, delayMs: Int64?)
  case seek(topic: Int, offset: Int)
  case createTopic(Int)
  case deleteTopic(Int)
}

/// A turn of the loop: time passes, clients ask, then the other threads get a little further.
struct ScriptTurn {
  var passMs: Int64
  var steps: [Step] = []
  /// Turns of the journal and the lanes afterwards; a large number lets them all finish.
  var background: Int
}

/// A script.
struct Script {
  static let topics = ["orders", "mail", "timers"]
  static let groups = ["plain", "ordered", "tagged", "moving"]
  static let idCount = 14
  var turns: [ScriptTurn] = []

  init(seed: UInt64, turns count: Int, deletesTopics: Bool = true) {
    var random = SplitMix64(seed: seed ^ 0x5C12_1970)
    for _ in 0..<count {
      var turn = ScriptTurn(passMs: Self.pass(&random), background: Int.random(in: 0...6, using: &random))
      if Int.random(in: 0..<8, using: &random) == 0 { turn.background = 1000 }
      for _ in 0..<Int.random(in: 0...4, using: &random) { turn.steps.append(Self.step(&random, deletesTopics)) }
      turns.append(turn)
    }
  }

  private static func pass(_ random: inout SplitMix64) -> Int64 {
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<20: 0
    case 20..<50: Int64.random(in: 1...20, using: &random)
    case 50..<80: Int64.random(in: 20...900, using: &random)
    case 80..<93: Int64.random(in: 900...20_000, using: &random)
    case 93..<98: Int64.random(in: 60_000...5_000_000, using: &random)
    default: Int64.random(in: 5_000_000...5_000_000_000, using: &random)
    }
  }

  private static func due(_ random: inout SplitMix64) -> Step.Due {
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<12: .delay(0)
    case 12..<30: .delay(Int64.random(in: 1...30, using: &random))
    case 30..<45: .onTheGrid(Int64.random(in: 0...2, using: &random))
    case 45..<60: .after(Int64.random(in: 30...3000, using: &random))
    case 60..<75: .after(Int64.random(in: 3000...70_000, using: &random))
    case 75..<85: .after(Int64.random(in: 70_000...5_000_000, using: &random))
    case 85..<93: .after(Int64.random(in: 5_000_000...300_000_000_000, using: &random))
    default: .past(Int64.random(in: 0...5000, using: &random))
    }
  }

  private static func step(_ random: inout SplitMix64, _ deletesTopics: Bool) -> Step {
    let topic = [0, 0, 0, 1, 1, 2].randomElement(using: &random) ?? 0
    let id = Int.random(in: 0..<idCount, using: &random)
    let key = Int.random(in: 0...3, using: &random)
    let tag = Int.random(in: 0...2, using: &random)
    let group = Int.random(in: 0..<groups.count, using: &random)
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<34:
      let ifExists: IfExists = [.keep, .replace, .replace, .reject].randomElement(using: &random)!
      return .schedule(topic: topic, id: id, due: due(&random), ifExists: ifExists, key: key, tag: tag)
    case 34..<39: return .schedule(topic: topic, id: -1, due: due(&random), ifExists: .keep, key: key, tag: tag)
    case 39..<45: return .publish(topic: topic, id: Int.random(in: -1..<idCount, using: &random), key: key, tag: tag)
    case 45..<54: return .cancel(topic: topic, id: id)
    case 54..<61: return .reschedule(topic: topic, id: id, due: due(&random))
    case 61..<65: return .get(topic: topic, id: id)
    case 65..<68: return .list(topic: topic)
    case 68..<74:
      let ackWaitMs = [50, 1000, 30_000].randomElement(using: &random)!
      return .subscribe(
        topic: topic, group: group, credit: Int.random(in: 1...6, using: &random), ackWaitMs: Int64(ackWaitMs))
    case 74..<76: return .unsubscribe(Int.random(in: 0..<1000, using: &random))
    case 76..<80:
      let waitMs = Bool.random(using: &random) ? 0 : Int64.random(in: 1...2000, using: &random)
      return .fetch(topic: topic, group: group, limit: Int.random(in: 1...4, using: &random), waitMs: waitMs)
    case 80..<89: return .ack(Int.random(in: 0..<1000, using: &random))
    case 89..<91: return .ackUpTo(Int.random(in: 0..<1000, using: &random))
    case 91..<95:
      let delayMs = Bool.random(using: &random) ? nil : Int64.random(in: 0...3000, using: &random)
      return .nack(Int.random(in: 0..<1000, using: &random), delayMs: delayMs)
    case 95..<97: return .seek(topic: topic, offset: Int.random(in: 0...12, using: &random))
    case 97..<98: return .createTopic(topic)
    default: return deletesTopics ? .deleteTopic(2) : .get(topic: topic, id: id)
    }
  }
}
