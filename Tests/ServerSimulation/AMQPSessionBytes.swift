// What a client may send on a connection, drawn at random and then spoiled: frames of all methods, contents, whole sessions.

import AMQPProtocol
import Primitives
import SeededRandom

/// Draws sessions.
struct AMQPSessionBytes {
  private static let names = ["fuzz-a", "fuzz-b", "fuzz-c"]
  var random: SplitMix64

  init(seed: UInt64) { random = SplitMix64(seed: seed) }

  mutating func below(_ bound: Int) -> Int { Int(random.next(below: UInt64(bound))) }
  private mutating func chance(_ n: Int) -> Bool { below(n) == 0 }
  private mutating func pick<T>(_ choices: [T]) -> T { choices[below(choices.count)] }
  private mutating func name() -> String { pick(Self.names + ["", "amq.topic", "amq.rabbitmq.reply-to", "é.#"]) }

  private mutating func arguments() -> [UInt8] {
    let entries: [[FieldEntry]] = [
      [], [], [FieldEntry("x-message-ttl", .int32(50))], [FieldEntry("x-max-length", .uint8(3))],
      [FieldEntry("x-dead-letter-exchange", .text("")), FieldEntry("x-dead-letter-routing-key", .text("fuzz-a"))],
      [FieldEntry("x-max-priority", .int8(5))], [FieldEntry("x-delayed-type", .text("topic"))],
      [FieldEntry("x-consumer-timeout", .int64(20))], [FieldEntry("x-destination-type", .text("topic"))],
      [FieldEntry("x-delayed-retry-type", .text("all")), FieldEntry("x-delayed-retry-min", .int16(30))],
      [
        FieldEntry("x-match", .text("any")),
        FieldEntry("deep", .table([FieldEntry("er", .array([.void, .double(1)]))])),
      ],
    ]
    var bytes = ByteBuffer()
    bytes.append(fields: pick(entries))
    return Array(bytes.readable)
  }

  private mutating func properties() -> [UInt8] {
    let headers: [[FieldEntry]] = [
      [], [FieldEntry("x-delay", .int32(40)), FieldEntry("x-delay-id", .text("one"))],
      [FieldEntry("x-delay-cancel", .boolean(true)), FieldEntry("x-delay-id", .text("one"))],
      [FieldEntry("CC", .array([.text("fuzz-b")]))], [FieldEntry("BCC", .array([.text("fuzz-c"), .int8(1)]))],
      [FieldEntry("x-death", .array([.table([FieldEntry("count", .int64(.max))])]))],
    ]
    var table = ByteBuffer()
    table.append(fields: pick(headers))
    var bytes = ByteBuffer()
    let expiration = pick(["10", "0", "-1", "99999999999999999999"])
    let replyTo = pick(["amq.rabbitmq.reply-to", "r"])
    let (hasTable, hasExpiration, hasReplyTo) = (chance(2), chance(5), chance(6))
    var basic = BasicProperties()
    if chance(2) { basic.deliveryMode = UInt8(below(4)) }
    if chance(4) { basic.priority = UInt8(below(256)) }
    expiration.withBytes { expiration in
      replyTo.withBytes { replyTo in
        if hasTable { basic.headers = FieldTable(table.readable) }
        if hasExpiration { basic.expiration = expiration }
        if hasReplyTo { basic.replyTo = replyTo }
        bytes.append(basic)
      }
    }
    return Array(bytes.readable)
  }

  private mutating func message(_ channel: UInt16) -> [UInt8] {
    let (exchange, key) = (chance(2) ? "" : name(), name())
    let (properties, body) = (properties(), [UInt8](repeating: 0x62, count: pick([0, 1, 100, 9000])))
    let (isMandatory, isImmediate) = (chance(3), chance(40))
    return AMQPPeer.bytes { out in
      exchange.withBytes { exchange in
        key.withBytes { key in
          let publish = BasicPublish {
            $0.exchange = exchange
            $0.routingKey = key
            $0.mandatory = isMandatory
            $0.immediate = isImmediate
          }
          properties.withBytes { properties in
            body.withBytes { body in
              out.append(publish, channel: channel, properties: properties, body: body, maxFrameBytes: 4096)
            }
          }
        }
      }
    }
  }

  private mutating func frame<Fields: MethodFields>(
    _ channel: UInt16, _: Fields.Type, _ set: (inout Fields, [UnsafeRawBufferPointer], FieldTable) -> Void
  ) -> [UInt8] {
    let (names, arguments) = ([name(), name(), name()], arguments())
    return AMQPPeer.bytes { out in
      names[0].withBytes { first in
        names[1].withBytes { second in
          names[2].withBytes { third in
            arguments.withBytes { arguments in
              out.append(Fields { set(&$0, [first, second, third], FieldTable(arguments)) }, channel: channel)
            }
          }
        }
      }
    }
  }

  /// A method with its content, if it has any, or a few.
  private mutating func step(_ channel: UInt16) -> [UInt8] {
    let (bits, tag, isMultiple) = (below(256), UInt64(below(6)), chance(3))
    func bit(_ place: Int) -> Bool { bits & (1 << place) != 0 }
    switch below(24) {
    case 0..<7: return message(channel)
    case 7, 8:
      return frame(channel, QueueDeclare.self) {
        $0.queue = $1[0]
        ($0.passive, $0.durable, $0.exclusive, $0.autoDelete) = (bits & 7 == 0, bit(3), $1[0].isEmpty, bit(5))
        $0.arguments = $2
      }
    case 9, 10:
      let type = pick(["direct", "topic", "fanout", "headers", "x-delayed-message", "none"])
      return type.withBytes { type in
        frame(channel, ExchangeDeclare.self) {
          $0.exchange = $1[0]
          $0.type = type
          ($0.passive, $0.durable, $0.autoDelete, $0.isInternal) = (bits & 7 == 0, bit(3), bit(4), bits & 7 == 1)
          $0.arguments = $2
        }
      }
    case 11:
      return frame(channel, QueueBind.self) {
        ($0.queue, $0.exchange, $0.routingKey, $0.arguments) = ($1[0], $1[1], $1[2], $2)
      }
    case 12:
      return frame(channel, ExchangeBind.self) {
        ($0.destination, $0.source, $0.routingKey, $0.arguments) = ($1[0], $1[1], $1[2], $2)
      }
    case 13:
      return frame(channel, QueueUnbind.self) {
        ($0.queue, $0.exchange, $0.routingKey, $0.arguments) = ($1[0], $1[1], $1[2], $2)
      }
    case 14:
      return frame(channel, BasicConsume.self) { fields, names, table in
        (fields.queue, fields.noAck, fields.exclusive, fields.arguments) = (names[0], bit(0), bits & 14 == 0, table)
      }
    case 15:
      return frame(channel, BasicGet.self) { fields, names, _ in (fields.queue, fields.noAck) = (names[0], bit(0)) }
    case 16:
      return frame(channel, BasicAck.self) { fields, _, _ in (fields.deliveryTag, fields.multiple) = (tag, isMultiple) }
    case 17:
      return frame(channel, BasicNack.self) { fields, _, _ in
        (fields.deliveryTag, fields.multiple, fields.requeue) = (tag, isMultiple, bit(0))
      }
    case 18:
      return frame(channel, BasicQos.self) { fields, _, _ in
        (fields.prefetchCount, fields.global) = (UInt16(tag), bit(0))
      }
    case 19: return frame(channel, BasicRecover.self) { fields, _, _ in fields.requeue = bits != 0 }
    case 20:
      return frame(channel, QueueDelete.self) { fields, names, _ in
        (fields.queue, fields.ifUnused, fields.ifEmpty) = (names[0], bit(0), bit(1))
      }
    case 21:
      return frame(channel, ExchangeDelete.self) { fields, names, _ in
        (fields.exchange, fields.ifUnused) = (names[0], bit(0))
      }
    case 22: return frame(channel, ConfirmSelect.self) { fields, _, _ in fields.noWait = bit(0) }
    default:
      let method = pick([Method.txSelect, .txCommit, .txRollback, .channelOpen, .channelCloseOk, .connectionCloseOk])
      return AMQPPeer.bytes { $0.append(method, channel: channel) }
    }
  }

  /// The frames of a session, spoiled in a few places: bits, lengths, order.
  mutating func session() -> [[UInt8]] {
    var frames = [AMQPPeer.opening()]
    for channel: UInt16 in [1, 2] { frames.append(AMQPPeer.bytes { $0.append(.channelOpen, channel: channel) }) }
    for _ in 0..<(1 + below(24)) { frames.append(step(pick([1, 1, 1, 2, 2, 3, 0]))) }
    for _ in 0..<pick([0, 1, 1, 1, 2, 4]) { spoil(&frames) }
    return frames
  }

  private mutating func spoil(_ frames: inout [[UInt8]]) {
    let place = below(frames.count)
    guard !frames[place].isEmpty else { return }
    let at = below(frames[place].count)
    switch below(8) {
    case 0: frames[place][at] ^= 1 << UInt8(below(8))
    case 1: frames[place][at] = pick([0, 1, 0x7F, 0x80, 0xCE, 0xFF])
    case 2: frames[place].removeSubrange(at..<min(frames[place].count, at + 1 + below(8)))
    case 3:
      frames[place].insert(contentsOf: (0...below(8)).map { _ in UInt8(truncatingIfNeeded: random.next()) }, at: at)
    case 4: frames[place] += frames[below(frames.count)]
    case 5: frames[place].removeSubrange(at...)
    case 6: frames.swapAt(place, below(frames.count))
    default:
      let payload = (0..<below(40)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      frames[place] +=
        [UInt8(pick([1, 2, 3, 8, 9])), 0, UInt8(below(4)), 0, 0, 0, UInt8(payload.count)] + payload + [0xCE]
    }
  }
}
