// Bindings that lead to native topics: what an exchange routes there, groups of the line protocol consume.
//
// Holds: a binding names its topic; one whose topic was deleted matches nothing until there is a topic of the name again.
// Leaves to others: topics themselves (Broker), how their messages look on a line (the server).

import Broker
import LineProtocol
import Primitives

/// A native topic as the destination of bindings.
public final class BoundTopic {
  /// Its name.
  let name: Text
  /// The routing that visited it last.
  var visited: UInt64 = 0

  init(_ name: Text) { self.name = name }
}

extension RabbitMQ {
  /// Whether the arguments of a binding say that its destination is a topic: `x-destination-type` is `topic`.
  ///
  /// - Throws: 406 when they name another kind than `exchange`.
  public static func leadsToTopic(_ arguments: [JSONTree.Member]) throws(AMQPError) -> Bool {
    guard let member = arguments.first(where: { $0.key == "x-destination-type" }) else { return false }
    switch member.value {
    case .string("topic"): return true
    case .string("exchange"): return false
    default:
      throw .preconditionFailed("invalid arg 'x-destination-type': \(member.value.shown) is not topic or exchange")
    }
  }

  /// The topic that a binding is to lead to, made if it may come into being on first use.
  func useTopic(_ name: Text) throws(AMQPError) -> BoundTopic {
    try name.bytes.withBytes { bytes throws(AMQPError) in
      guard isValidName(bytes) else {
        throw .preconditionFailed("'\(name)' is no name of a topic: 1 to 128 of A-Z a-z 0-9 . _ - and not '.' or '..'")
      }
      do throws(BrokerStop) { _ = try broker.topic(onUse: bytes) } catch { throw .stopped(error) }
    }
    return boundTopic(name)
  }

  func boundTopic(_ name: Text) -> BoundTopic {
    if let bound = boundTopics[name] { return bound }
    let bound = BoundTopic(name)
    boundTopics[name] = bound
    return bound
  }

  /// The topic itself; nil when there is none of the name now.
  func target(_ bound: BoundTopic) -> QueueTarget? {
    bound.name.bytes.withBytes { broker.findTopic($0) }.map { QueueTarget($0) }
  }

  /// A message as a topic has it: exchange, routing key, properties and headers are the strings of its headers.
  static func topicLetter(_ envelope: Envelope, _ targets: [QueueTarget]) -> Letter {
    var fields: [JSONTree.Member] = [
      JSONTree.Member("amqp.exchange", .string(envelope.exchange)),
      JSONTree.Member("amqp.routingKey", .string(envelope.routingKey)),
    ]
    for member in envelope.properties {
      fields.append(JSONTree.Member(Text("amqp.\(member.key)"), .string(Text(member.value.plain))))
    }
    for member in envelope.headers ?? [] where !fields.contains(where: { $0.key == member.key }) {
      fields.append(JSONTree.Member(member.key, .string(member.value.text ?? Text(member.value.plain))))
    }
    var out = ByteBuffer(capacity: 256)
    JSONTree.object(fields).write(to: &out)
    return Letter(headers: Array(out.readable), tag: [], targets: targets)
  }
}
