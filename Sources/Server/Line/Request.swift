// A request as the operations see it: fields by name, with the checks that several operations share.

import Broker
import LineProtocol
import Primitives

/// One request of one connection.
struct Request {
  let reader: RequestReader

  func check<T>(_ body: () throws(Refusal) -> T) throws(RequestStop) -> T {
    do throws(Refusal) { return try body() } catch { throw .refused(error) }
  }

  func string(_ field: FieldName) throws(RequestStop) -> UnsafeRawBufferPointer? {
    do throws(Refusal) { return try reader.string(field) } catch { throw .refused(error) }
  }

  func boolean(_ field: FieldName) throws(RequestStop) -> Bool? {
    do throws(Refusal) { return try reader.boolean(field) } catch { throw .refused(error) }
  }

  /// An integer in `range`.
  func integer(_ field: FieldName, in range: ClosedRange<Int64> = .min ... .max) throws(RequestStop) -> Int64? {
    let value: Int64?
    do throws(Refusal) { value = try reader.integer(field) } catch { throw .refused(error) }
    guard let value else { return nil }
    guard range.contains(value) else {
      let text =
        range.upperBound == .max
        ? "\(range.lowerBound) or more" : "from \(range.lowerBound) to \(range.upperBound)"
      throw .refused(.invalid(field, mustBe: text))
    }
    return value
  }

  /// A name of a topic or group.
  func name(_ field: FieldName) throws(RequestStop) -> UnsafeRawBufferPointer? {
    guard let name = try string(field) else { return nil }
    // Dead-letter topics are made of two names and may be longer; reading them must be possible.
    guard isValidName(name) || isDeadLetterName(name) else {
      throw .refused(.invalid(field, mustBe: "1 to 128 of A-Z a-z 0-9 . _ - and not '.' or '..'"))
    }
    return name
  }

  func requiredName(_ field: FieldName) throws(RequestStop) -> UnsafeRawBufferPointer {
    guard let name = try name(field) else { throw .refused(.missing(field)) }
    return name
  }

  private func isDeadLetterName(_ name: UnsafeRawBufferPointer) -> Bool {
    guard name.count > 128, name.count <= 261, name.suffix(4).elementsEqual(".dlq".utf8) else { return false }
    return name.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"): true
      default: false
      }
    }
  }

  func messageID() throws(RequestStop) -> UnsafeRawBufferPointer? {
    guard let id = try string(.id) else { return nil }
    guard isValidMessageID(id) else {
      throw .refused(.invalid(.id, mustBe: "1 to 128 bytes of UTF-8 without control characters"))
    }
    return id
  }

  func requiredMessageID() throws(RequestStop) -> UnsafeRawBufferPointer {
    guard let id = try messageID() else { throw .refused(.missing(.id)) }
    return id
  }

  /// The message that `schedule` and `publish` carry; an empty id when none was given.
  func messageParts() throws(RequestStop) -> MessageParts {
    let body: RequestBody
    do throws(Refusal) { body = try reader.anyBody() } catch { throw .refused(error) }
    var parts = MessageParts(id: try messageID() ?? UnsafeRawBufferPointer(start: nil, count: 0), body: body.bytes)
    parts.encoding = body.encoding
    if let key = try string(.key) {
      guard key.count <= 256, key.count > 0 else { throw .refused(.invalid(.key, mustBe: "of 1 to 256 bytes")) }
      parts.key = key
    }
    if let tag = try string(.tag) {
      guard tag.count <= 128, tag.count > 0 else { throw .refused(.invalid(.tag, mustBe: "of 1 to 128 bytes")) }
      parts.tag = tag
    }
    let headers: UnsafeRawBufferPointer?
    do throws(Refusal) { headers = try reader.objectOfStrings(.headers) } catch { throw .refused(error) }
    if let headers { parts.headers = headers }
    return parts
  }

  /// Exactly one of the four times.
  func dueTime() throws(RequestStop) -> DueTime {
    var due: DueTime?
    var count = 0
    if let delayMs = try integer(.delayMs, in: 0 ... .max) {
      due = .delay(delayMs)
      count += 1
    }
    if let atMs = try integer(.deliverAtMs, in: 0 ... .max) {
      due = .at(atMs)
      count += 1
    }
    if let text = try string(.deliverAt) {
      guard let atMs = parseRFC3339(text) else {
        throw .refused(.invalid(.deliverAt, mustBe: "an RFC 3339 time with offset, such as 2026-01-31T12:00:00.000Z"))
      }
      due = .at(atMs)
      count += 1
    }
    if let level = try integer(.delayLevel) {
      due = .level(level)
      count += 1
    }
    guard let due, count == 1 else {
      throw .refused(.badRequest("give exactly one of 'delayMs', 'deliverAtMs', 'deliverAt', 'delayLevel'"))
    }
    return due
  }

  enum Acks { case none, memory, disk }

  func acks() throws(RequestStop) -> Acks { try choice(.acks, Self.acksChoices) ?? .disk }

  private static let acksChoices: [(StaticString, Acks)] = [("disk", .disk), ("memory", .memory), ("none", .none)]

  func choice<T>(_ field: FieldName, _ choices: [(StaticString, T)]) throws(RequestStop) -> T? {
    guard let text = try string(field) else { return nil }
    for (name, value) in choices where text.equals(name) { return value }
    throw .refused(.invalid(field, mustBe: "one of " + choices.map { "\"\($0.0)\"" }.joined(separator: ", ")))
  }

  /// `"earliest"`, `"latest"`, `{"offset":n}` or `{"timeMs":t}`.
  func startPosition(_ field: FieldName) throws(RequestStop) -> StartPosition? {
    guard let kind = reader.kind(of: field) else { return nil }
    let bad = RequestStop.refused(
      .invalid(field, mustBe: "\"earliest\", \"latest\", {\"offset\":n} or {\"timeMs\":t}"))
    if kind == .string {
      let text = try string(field)!
      if text.elementsEqual("earliest".utf8) { return .earliest }
      if text.elementsEqual("latest".utf8) { return .latest }
      throw bad
    }
    guard kind == .object else { throw bad }
    var cursor: ObjectCursor
    do throws(Refusal) { cursor = try reader.object(field)! } catch { throw .refused(error) }
    guard let (key, value) = cursor.next(), let number = value.integer(), number >= 0 else { throw bad }
    let position: StartPosition
    if key.elementsEqual("offset".utf8) {
      position = .offset(TopicOffset(number))
    } else if key.elementsEqual("timeMs".utf8) {
      position = .time(number)
    } else {
      throw bad
    }
    guard cursor.next() == nil else { throw bad }
    return position
  }

  /// What `subscribe` and `fetch` share.
  func consumerOptions() throws(RequestStop) -> ConsumerOptions {
    var options = ConsumerOptions()
    if let credit = try integer(.credit, in: 1...65_536) { options.credit = Int(credit) }
    if let ackWaitMs = try integer(.ackWaitMs, in: 1...86_400_000) { options.ackWaitMs = ackWaitMs }
    if let maxAttempts = try integer(.maxAttempts, in: 1...1_000_000) { options.maxAttempts = UInt32(maxAttempts) }
    options.from = try startPosition(.from)
    options.isOrdered = try boolean(.ordered) ?? false
    let tags: [String]?
    do throws(Refusal) { tags = try reader.strings(.tags) } catch { throw .refused(error) }
    if let tags {
      guard tags.count <= 64 else { throw .refused(.invalid(.tags, mustBe: "of at most 64 tags")) }
      options.tags = tags.map { Array($0.utf8) }
    }
    return options
  }

  /// Which deliveries: exactly one of `offset`, `offsets`, `upTo`.
  func selection() throws(RequestStop) -> Selection {
    var selection: Selection?
    var count = 0
    if let offset = try integer(.offset, in: 0 ... .max) {
      selection = .one(TopicOffset(offset))
      count += 1
    }
    if let upTo = try integer(.upTo, in: 0 ... .max) {
      selection = .upTo(TopicOffset(upTo))
      count += 1
    }
    let offsets: [Int64]?
    do throws(Refusal) { offsets = try reader.integers(.offsets) } catch { throw .refused(error) }
    if let offsets {
      guard offsets.allSatisfy({ $0 >= 0 }) else {
        throw .refused(.invalid(.offsets, mustBe: "an array of integers of 0 or more"))
      }
      selection = .list(offsets.map { TopicOffset($0) })
      count += 1
    }
    guard let selection, count == 1 else {
      throw .refused(.badRequest("give exactly one of 'offset', 'offsets', 'upTo'"))
    }
    return selection
  }

  var rid: UnsafeRawBufferPointer? { (try? reader.rid()) ?? nil }
}
