// schedule, publish, cancel, reschedule, get, list.

import Broker
import LineProtocol
import Primitives

extension LineSession {
  func schedule(_ request: Request) throws(RequestStop) {
    let acks = try request.acks()
    var command = ScheduleCommand(
      topic: try request.requiredName(.topic), parts: try request.messageParts(), due: try request.dueTime(),
      connection: key)
    command.ifExists = try request.choice(.ifExists, Self.ifExistsChoices) ?? .keep
    let reply: Answer<ScheduleReply>
    do throws(BrokerStop) { reply = try broker.schedule(command) } catch { throw RequestStop(error) }
    if acks == .none { return }
    beginReply(request)
    writeID(reply.value.madeID, command.parts.id)
    out.append(",\"deliverAtMs\":")
    out.appendInteger(reply.value.deliverAtMs)
    writeOutcome(reply.value.outcome)
    if acks == .disk { hold(until: reply.gate) }
  }

  private func writeID(_ madeID: GeneratedID?, _ given: UnsafeRawBufferPointer) {
    out.append(",\"id\":")
    if let madeID { write(madeID) } else { out.appendJSONString(given) }
  }

  private func write(_ id: GeneratedID) {
    withUnsafeTemporaryAllocation(byteCount: GeneratedID.length + 2, alignment: 1) { text in
      id.write(to: text.baseAddress! + 1)
      text[0] = UInt8(ascii: "\"")
      text[GeneratedID.length + 1] = UInt8(ascii: "\"")
      out.append(UnsafeRawBufferPointer(text))
    }
  }

  private func writeOutcome(_ outcome: ScheduleReply.Outcome) {
    switch outcome {
    case .scheduled: out.append(",\"outcome\":\"scheduled\"}\n")
    case .kept: out.append(",\"outcome\":\"kept\"}\n")
    case .replaced: out.append(",\"outcome\":\"replaced\"}\n")
    case .released: out.append(",\"outcome\":\"released\"}\n")
    case .rescheduled: out.append(",\"outcome\":\"rescheduled\"}\n")
    case .unknown: out.append(",\"outcome\":\"unknown\"}\n")
    }
  }

  /// Up to a thousand messages for one topic, accepted whole or refused whole.
  func scheduleMany(_ request: Request) throws(RequestStop) {
    let acks = try request.acks()
    let topic = try request.requiredName(.topic)
    var cursor: ArrayCursor
    do throws(Refusal) {
      guard let found = try reader.array(.messages) else { throw Refusal.missing(.messages) }
      cursor = found
    } catch { throw .refused(error) }
    let batch: ScheduleBatch
    do throws(BrokerStop) { batch = try broker.beginBatch(topic: topic, connection: key) } catch {
      throw RequestStop(error)
    }
    var ids: [[UInt8]] = []
    while let value = cursor.next() {
      guard ids.count < ScheduleBatch.messagesMax else {
        throw .refused(.invalid(.messages, mustBe: "of at most \(ScheduleBatch.messagesMax) messages"))
      }
      do throws(RequestStop) { ids.append(try add(value.raw, to: batch)) } catch {
        guard case .refused(let refusal) = error else { throw error }
        let text = "messages[\(ids.count)]: \(refusal.message)"
        throw .refused(Refusal(code: refusal.code, message: text))
      }
    }
    let replies: Answer<[ScheduleReply]>
    do throws(BrokerStop) { replies = try broker.commit(batch) } catch { throw RequestStop(error) }
    if acks == .none { return }
    beginReply(request)
    out.append(",\"results\":[")
    for (place, reply) in replies.value.enumerated() {
      out.append(place > 0 ? ",{\"id\":" : "{\"id\":")
      if let madeID = reply.madeID {
        write(madeID)
      } else {
        ids[place].withUnsafeBytes { out.appendJSONString($0) }
      }
      out.append(",\"deliverAtMs\":")
      out.appendInteger(reply.deliverAtMs)
      writeOutcome(reply.outcome)
      // The outcome ends a line of its own elsewhere.
      out.truncate(to: out.count - 1)
    }
    out.append("]}\n")
    if acks == .disk { hold(until: replies.gate) }
  }

  private func add(
    _ value: UnsafeRawBufferPointer, to batch: ScheduleBatch
  ) throws(RequestStop) -> [UInt8] {
    do throws(Refusal) {
      try services.nestedReader.parseValidated(value, name: "a message")
      try services.nestedReader.requireOnly(OperationTable.batchMessage, operation: "a message of 'scheduleMany'")
    } catch { throw .refused(error) }
    let message = Request(reader: services.nestedReader)
    let parts = try message.messageParts()
    let due = try message.dueTime()
    let ifExists = try message.choice(.ifExists, Self.ifExistsChoices) ?? .keep
    do throws(BrokerStop) { try broker.add(parts, due: due, ifExists: ifExists, to: batch) } catch {
      throw RequestStop(error)
    }
    return Array(parts.id)
  }

  private static let ifExistsChoices: [(StaticString, IfExists)] = [
    ("keep", .keep), ("replace", .replace), ("reject", .reject),
  ]

  func publish(_ request: Request) throws(RequestStop) {
    let acks = try request.acks()
    let topic = try request.requiredName(.topic)
    let parts = try request.messageParts()
    let reply: Answer<PublishReply>
    do throws(BrokerStop) { reply = try broker.publish(topic: topic, parts) } catch { throw RequestStop(error) }
    if acks == .none { return }
    beginReply(request)
    writeID(reply.value.madeID, parts.id)
    out.append(",\"offset\":")
    out.appendInteger(reply.value.offset)
    out.endLine()
    if acks == .disk { hold(until: reply.gate) }
  }

  func cancel(_ request: Request) throws(RequestStop) {
    try cancel(request, topic: try request.requiredName(.topic))
  }

  /// Cancels the message of the request's id in a topic, and answers what became of it.
  func cancel(_ request: Request, topic: UnsafeRawBufferPointer) throws(RequestStop) {
    let id = try request.requiredMessageID()
    let answer: Answer<CancelOutcome>
    do throws(BrokerStop) { answer = try broker.cancel(topic: topic, id: id) } catch { throw RequestStop(error) }
    beginReply(request)
    switch answer.value {
    case .cancelled: out.append(",\"outcome\":\"cancelled\"}\n")
    case .released: out.append(",\"outcome\":\"released\"}\n")
    case .unknown: out.append(",\"outcome\":\"unknown\"}\n")
    }
    hold(until: answer.gate)
  }

  func reschedule(_ request: Request) throws(RequestStop) {
    let topic = try request.requiredName(.topic)
    let id = try request.requiredMessageID()
    let due = try request.dueTime()
    let reply: Answer<ScheduleReply>
    do throws(BrokerStop) {
      reply = try broker.reschedule(topic: topic, id: id, due: due, connection: key)
    } catch { throw RequestStop(error) }
    beginReply(request)
    if reply.value.outcome == .rescheduled {
      out.append(",\"deliverAtMs\":")
      out.appendInteger(reply.value.deliverAtMs)
    }
    writeOutcome(reply.value.outcome)
    hold(until: reply.gate)
  }

  func get(_ request: Request) throws(RequestStop) {
    let topic = try request.requiredName(.topic)
    let id = try request.requiredMessageID()
    let state: Answer<MessageState>
    do throws(BrokerStop) { state = try broker.get(topic: topic, id: id, connection: key) } catch {
      throw RequestStop(error)
    }
    beginReply(request)
    hold(until: state.gate)
    switch state.value {
    case .unknown: out.append(",\"state\":\"unknown\"}\n")
    case .cancelled: out.append(",\"state\":\"cancelled\"}\n")
    case .released(let offset):
      out.append(",\"state\":\"released\",\"offset\":")
      out.appendInteger(offset)
      out.endLine()
    case .pending(let record):
      out.append(",\"state\":\"pending\",\"deliverAtMs\":")
      out.appendInteger(record.dueMs)
      out.append(",\"scheduledAtMs\":")
      out.appendInteger(record.stampMs)
      EventWriter.content(record, to: &out)
      out.endLine()
    }
  }

  func list(_ request: Request) throws(RequestStop) {
    try list(request, topic: try request.requiredName(.topic)) { EventWriter.listed($0, to: &out) }
  }

  /// Answers with one page of the pending messages of a topic, each as `write` writes it.
  func list(
    _ request: Request, topic: UnsafeRawBufferPointer, _ write: (ListedMessage) -> Void
  ) throws(RequestStop) {
    let fromMs = try request.integer(.fromMs) ?? .min
    let toMs = try request.integer(.toMs) ?? .max
    guard fromMs <= toMs else { throw .refused(.badRequest("field 'fromMs' is behind 'toMs'")) }
    let limit = try request.integer(.limit, in: 1...1000) ?? 100
    let command = ListCommand(
      topic: topic, dueMs: fromMs...toMs, limit: Int(limit), after: try listCursor(request), connection: key)
    let answer: Answer<ListPage>
    do throws(BrokerStop) { answer = try broker.list(command) } catch { throw RequestStop(error) }
    let page = answer.value
    hold(until: answer.gate)
    beginReply(request)
    out.append(",\"messages\":[")
    for (place, message) in page.messages.enumerated() {
      if place > 0 { out.append(",") }
      write(message)
    }
    out.append("]")
    if page.hasMore, let last = page.messages.last {
      out.append(",\"cursor\":\"")
      out.appendInteger(last.dueMs)
      out.append(".")
      out.appendInteger(last.sequence)
      out.append("\"")
    }
    out.endLine()
  }

  /// A cursor is the due time and the sequence of the last message shown.
  private func listCursor(_ request: Request) throws(RequestStop) -> (dueMs: UnixMs, sequence: Sequence)? {
    guard let text = try request.string(.cursor) else { return nil }
    let parts = String(decoding: text, as: UTF8.self).split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 2, let dueMs = Int64(parts[0]), let sequence = UInt64(parts[1]) else {
      throw .refused(.invalid(.cursor, mustBe: "the 'cursor' of an earlier reply"))
    }
    return (dueMs, sequence)
  }
}
