// The short way of a message into its queues beside the long one: two brokers of the same history, which must not differ.

import AMQPProtocol
import Broker
import DataFiles
import LineProtocol
import Primitives
import SeededRandom
import SimulatedDisk
import Testing

@testable import DecisionLog
@testable import RabbitMQFrontEnd

@Suite("Direct publishing")
struct DirectPublishingTests {
  /// A front end over a broker without a log.
  private final class Side {
    let broker: Broker
    let rabbitMQ: RabbitMQ
    private let isDirect: Bool

    init(isDirect: Bool) {
      let hashKey = StoreID(low: 1, high: 2)
      broker = Broker(
        settings: BrokerSettings(), hashKey: hashKey, io: ManualIOQueue(storage: SimulatedStorage()))
      broker.records.reset(nextSequence: 1)
      broker.start(nowNs: 1_000_000 * TimeUnits.nsPerMs)
      broker.beginTurn(nowNs: 1_000_000 * TimeUnits.nsPerMs)
      rabbitMQ = RabbitMQ(broker)
      self.isDirect = isDirect
    }

    /// Gives what the publisher hears.
    func publish(_ message: AMQPMessage) -> String {
      do {
        let outcome = isDirect ? try rabbitMQ.publish(message) : try rabbitMQ.publish(message.publication)
        return "\(outcome.isRouted) \(outcome.refusedBy?.description ?? "-") \(outcome.gate) \(outcome.returned != nil)"
      } catch { return "\(error)" }
    }

    /// Everything that was recorded since the last call.
    func takeRecords() -> [UInt8] {
      defer { broker.records.reset(nextSequence: broker.records.nextSequence) }
      // The bytes in front of the first record are the log's to fill in.
      let bytes = UnsafeRawBufferPointer(start: broker.records.base, count: broker.records.byteCount)
      return Array(bytes.dropFirst(RecordBuffer.frontBytes))
    }
  }

  private static let names = ["", "direct", "topic", "headers", "fanout", "delayed", "internal", "q0", "q1", "q2"]
  private static let keys = ["", "a", "a.b", "b", "q0", "q1", "q2"]

  /// Declares something, deletes something, or binds.
  private func change(_ random: inout SplitMix64, _ rabbitMQ: RabbitMQ) {
    func pick(_ names: [String]) -> Text { Text(names[Int(random.next(below: UInt64(names.count)))]) }
    let queue = pick(["q0", "q1", "q2"])
    let exchange = pick(Array(Self.names[1...6]))
    switch random.next(below: 6) {
    case 0:
      let arguments: [[JSONTree.Member]] = [
        [], [JSONTree.Member("x-message-ttl", .integer(500))],
        [JSONTree.Member("x-max-length", .integer(2)), JSONTree.Member("x-overflow", .string("reject-publish"))],
      ]
      let declaration = RabbitMQ.QueueDeclaration(
        name: queue, isDurable: random.next(below: 2) == 0, isExclusive: false, isAutoDelete: false,
        arguments: arguments[Int(random.next(below: 3))])
      _ = try? rabbitMQ.declare(declaration, 1)
    case 1: if random.next(below: 4) == 0 { _ = try? rabbitMQ.deleteQueue(queue, ifUnused: false, ifEmpty: false, 1) }
    case 2:
      let kind = ExchangeKind(rawValue: exchange.description) ?? (exchange == "delayed" ? .delayed : .fanout)
      let arguments = kind == .delayed ? [JSONTree.Member("x-delayed-type", .string("fanout"))] : []
      let declaration = RabbitMQ.ExchangeDeclaration(
        name: exchange, kind: kind, isDurable: false, isAutoDelete: false, isInternal: exchange == "internal",
        arguments: arguments
          + (random.next(below: 3) == 0 ? [JSONTree.Member("alternate-exchange", .string("fanout"))] : []))
      _ = try? rabbitMQ.declare(declaration)
    case 3: if random.next(below: 4) == 0 { _ = try? rabbitMQ.deleteExchange(exchange, ifUnused: false) }
    case 4: _ = try? rabbitMQ.bindExchange(exchange, to: pick(Array(Self.names[1...6])), pick(Self.keys), [])
    default: _ = try? rabbitMQ.bind(queue, exchange, pick(Self.keys + ["#", "a.*"]), [], 1)
    }
  }

  /// Lends `body` a drawn message.
  private func withMessage(_ random: inout SplitMix64, _ body: (AMQPMessage) -> Void) {
    func pick<Value>(_ values: [Value]) -> Value { values[Int(random.next(below: UInt64(values.count)))] }
    let headers: [FieldEntry]? = pick([
      nil, nil, [], [FieldEntry("CC", .array([.text("a"), .text("q1")]))], [FieldEntry("BCC", .array([.text("q2")]))],
      [FieldEntry("x-delay", .int32(50))], [FieldEntry("n", .table([FieldEntry("o", .void)]))],
      [FieldEntry("CC", .text("a"))],
    ])
    let expiration: String? = pick([nil, nil, "0", "100", "x"])
    let (exchange, key) = (pick(Self.names), pick(Self.keys))
    let isMandatory = random.next(below: 4) == 0
    let mode: UInt8? = pick([nil, 1, 2])
    var table = ByteBuffer()
    if let headers { table.append(fields: headers) }
    (expiration ?? "").withBytes { expirationBytes in
      var properties = BasicProperties()
      properties.deliveryMode = mode
      if headers != nil { properties.headers = FieldTable(table.readable) }
      if expiration != nil { properties.expiration = expirationBytes }
      var bytes = ByteBuffer()
      bytes.append(properties)
      exchange.withBytes { exchange in
        key.withBytes { key in
          "body".withBytes { content in
            body(
              AMQPMessage(
                exchange: exchange, routingKey: key, properties: try! BasicProperties(reading: bytes.readable),
                propertyBytes: bytes.readable, body: content, isMandatory: isMandatory))
          }
        }
      }
    }
  }

  @Test(
    "both ways say the same and record the same, whatever the topology becomes",
    arguments: 1...30 as ClosedRange<UInt64>)
  func sameAsTheLongWay(seed: UInt64) {
    let direct = Side(isDirect: true)
    let long = Side(isDirect: false)
    var random = SplitMix64(seed: seed)
    for step in 0..<1500 {
      if random.next(below: 8) == 0 {
        var same = random
        change(&random, direct.rabbitMQ)
        change(&same, long.rabbitMQ)
      } else {
        withMessage(&random) { message in
          #expect(direct.publish(message) == long.publish(message), "step \(step)")
        }
      }
      #expect(direct.takeRecords() == long.takeRecords(), "step \(step)")
    }
  }
}
