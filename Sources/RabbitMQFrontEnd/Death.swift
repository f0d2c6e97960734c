// What ending in a queue does to a message that becomes a dead letter: `x-death` and its fellows, exactly as RabbitMQ writes them.
//
// Holds: of a message that came by AMQP the entries of earlier deaths are copied as they stand: a message in a ladder of 28 queues has as
// many, and reading and writing all of them anew took nine tenths of a hop.

import AMQPProtocol
import Primitives

/// One death of a message.
struct Death {
  let queue: Text
  let reason: Text
  let timeS: Int64

  /// Writes the death into the message's headers and takes `expiration` away. The entry of this queue and reason counts up
  /// and comes to the front; its other fields stay those of the first time.
  func note(in envelope: inout Envelope) {
    let expiration = envelope.remove(property: "expiration")
    let isFirst =
      switch envelope.form {
      case .json: noteInTree(&envelope, expiration)
      case .amqp: noteInField(&envelope, expiration)
      }
    if isFirst || envelope.value(header: "x-first-death-reason") == nil {
      envelope.set(header: "x-first-death-reason", .string(reason))
      envelope.set(header: "x-first-death-queue", .string(queue))
      envelope.set(header: "x-first-death-exchange", .string(envelope.exchange))
    }
    envelope.set(header: "x-last-death-reason", .string(reason))
    envelope.set(header: "x-last-death-queue", .string(queue))
    envelope.set(header: "x-last-death-exchange", .string(envelope.exchange))
  }

  /// Writes `x-death` anew; true when there was none.
  private func noteInTree(_ envelope: inout Envelope, _ expiration: Text?) -> Bool {
    var deaths = Self.deaths(envelope)
    let isFirst = deaths.isEmpty
    let known = deaths.firstIndex { $0["queue"]?.text == queue && $0["reason"]?.text == reason }
    if let known {
      deaths.insert(Self.countedUp(deaths.remove(at: known)), at: 0)
    } else {
      deaths.insert(entry(envelope, expiration), at: 0)
    }
    envelope.set(header: "x-death", .array(deaths))
    return isFirst
  }

  /// Puts an entry in front of the field `x-death`, or the one that counts up; true when there was none.
  private func noteInField(_ envelope: inout Envelope, _ expiration: Text?) -> Bool {
    var newest = ByteBuffer()
    var others = ByteBuffer()
    envelope.field(header: "x-death").withBytes { field in
      for entry in Self.entries(field) {
        if newest.isEmpty, Self.isText(entry.value.table?["queue"], queue),
          Self.isText(entry.value.table?["reason"], reason)
        {
          Self.appendCountedUp(entry.value.table!, to: &newest)
        } else {
          others.append(entry.raw)
        }
      }
    }
    let isFirst = newest.isEmpty && others.isEmpty
    if newest.isEmpty { newest.append(entry(envelope, expiration).fieldValue) }
    var field = ByteBuffer()
    field.append(byte: FieldType.array.rawValue)
    field.append(bigEndian: UInt32(newest.count + others.count))
    field.append(newest.readable)
    field.append(others.readable)
    envelope.set(header: "x-death", field: Array(field.readable))
    return isFirst
  }

  /// The entries of a field that is an array; none of another.
  private static func entries(_ field: UnsafeRawBufferPointer) -> FieldCursor {
    var values = FieldCursor(array: field)
    return values.next()?.value.array ?? FieldCursor(array: UnsafeRawBufferPointer(start: nil, count: 0))
  }

  private static func isText(_ value: FieldView?, _ text: Text) -> Bool {
    value?.string?.elementsEqual(text.bytes) ?? false
  }

  private static func appendCountedUp(_ entry: FieldTable, to out: inout ByteBuffer) {
    var fields = ByteBuffer()
    var isCounted = false
    for field in entry.fields {
      if !isCounted, field.isNamed("count") {
        isCounted = true
        fields.append(fields: [FieldEntry("count", .int64(oneMore(than: JSONTree(field.value))))])
      } else {
        fields.append(field.raw)
      }
    }
    if !isCounted { fields.append(fields: [FieldEntry("count", .int64(2))]) }
    out.append(byte: FieldType.table.rawValue)
    out.append(bigEndian: UInt32(fields.count))
    out.append(fields.readable)
  }

  private func entry(_ envelope: Envelope, _ expiration: Text?) -> JSONTree {
    var members: [JSONTree.Member] = [
      .init("count", .integer(1)), .init("reason", .string(reason)), .init("queue", .string(queue)),
      .init("time", .timestamp(UInt64(max(0, timeS)))), .init("exchange", .string(envelope.exchange)),
      .init("routing-keys", .array(envelope.shownKeys.map { .string($0) })),
    ]
    if let expiration { members.append(.init("original-expiration", .string(expiration))) }
    return .object(members)
  }

  private static func countedUp(_ entry: JSONTree) -> JSONTree {
    guard case .object(var members) = entry else { return entry }
    if let place = members.firstIndex(where: { $0.key == "count" }) {
      members[place].value = .integer(oneMore(than: members[place].value))
    } else {
      members.append(.init("count", .integer(2)))
    }
    return .object(members)
  }

  private static func oneMore(than value: JSONTree) -> Int64 {
    let count = value.integer ?? 0
    return count == .max ? .max : count + 1
  }

  static func deaths(_ envelope: Envelope) -> [JSONTree] {
    guard case .array(let deaths)? = envelope.value(header: "x-death") else { return [] }
    return deaths
  }

  /// Whether a message that has died like this would come to `queue` by a circle that nobody's refusal is part of: then it
  /// goes round for ever.
  static func isCycle(_ envelope: Envelope, to queue: Text) -> Bool {
    switch envelope.form {
    case .json:
      for death in deaths(envelope) {
        if death["reason"]?.text == "rejected" { return false }
        if death["queue"]?.text == queue { return true }
      }
      return false
    case .amqp:
      return envelope.field(header: "x-death").withBytes { field in
        for death in entries(field) {
          guard let entry = death.value.table else { continue }
          if isText(entry["reason"], "rejected") { return false }
          if isText(entry["queue"], queue) { return true }
        }
        return false
      }
    }
  }
}
