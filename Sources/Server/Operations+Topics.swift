// createTopic, deleteTopic, topics, stats, wheel.

import Broker
import LineProtocol
import Primitives

extension Server {
  func createTopic(_ request: Request) throws(RequestStop) {
    let name = try request.requiredName(.topic)
    let retentionMs = try request.integer(.retentionMs, in: 1 ... .max)
    let retentionBytes = try request.integer(.retentionBytes, in: 1 ... .max)
    let isCreated: Answer<Bool>
    do throws(BrokerStop) {
      isCreated = try broker.createTopic(name, retentionMs: retentionMs, retentionBytes: retentionBytes)
    } catch { throw RequestStop(error) }
    reply(request, ",\"created\":", isCreated)
  }

  func deleteTopic(_ request: Request) throws(RequestStop) {
    let name = try request.requiredName(.topic)
    let isDeleted: Answer<Bool>
    do throws(BrokerStop) { isDeleted = try broker.deleteTopic(name) } catch { throw RequestStop(error) }
    reply(request, ",\"deleted\":", isDeleted)
  }

  private func reply(_ request: Request, _ field: StaticString, _ answer: Answer<Bool>) {
    request.connection.out.beginReply(rid: request.rid)
    request.connection.out.append(field)
    request.connection.out.appendBoolean(answer.value)
    request.connection.out.endLine()
    hold(request.connection, until: answer.gate)
  }

  func topics(_ request: Request) {
    let connection = request.connection
    connection.out.beginReply(rid: request.rid)
    connection.out.append(",\"topics\":[")
    for (place, topic) in broker.topicsInOrder.filter({ !$0.isQueue }).enumerated() {
      if place > 0 { connection.out.append(",") }
      connection.out.append("{\"topic\":")
      connection.out.appendJSONString(topic.name)
      field(connection, ",\"pending\":", Int64(topic.pendingCount))
      field(connection, ",\"firstOffset\":", Int64(topic.log.firstOffset))
      field(connection, ",\"nextOffset\":", Int64(topic.log.nextOffset))
      field(connection, ",\"bytes\":", Int64(topic.log.bytes))
      connection.out.append(",\"groups\":[")
      for (place, group) in broker.groupsInOrder(topic).enumerated() {
        if place > 0 { connection.out.append(",") }
        connection.out.append("{\"group\":")
        connection.out.appendJSONString(group.name)
        field(connection, ",\"committed\":", Int64(group.committed))
        field(connection, ",\"lag\":", Int64(group.lag))
        field(connection, ",\"inFlight\":", Int64(group.inFlight))
        field(connection, ",\"members\":", Int64(group.members))
        connection.out.append("}")
      }
      connection.out.append("]}")
    }
    connection.out.append("]}\n")
  }

  private func field(_ connection: Connection, _ name: StaticString, _ value: Int64) {
    connection.out.append(name)
    connection.out.appendInteger(value)
  }

  func stats(_ request: Request) {
    let connection = request.connection
    connection.out.beginReply(rid: request.rid)
    for (name, value) in statistics {
      connection.out.append(",")
      connection.out.appendJSONString(name)
      connection.out.append(":")
      connection.out.appendInteger(value)
    }
    connection.out.endLine()
  }

  func wheel(_ request: Request) {
    let connection = request.connection
    connection.out.beginReply(rid: request.rid)
    field(connection, ",\"nowMs\":", broker.nowMs)
    field(connection, ",\"tickMs\":", broker.settings.tickMs)
    field(connection, ",\"wheelSize\":", Int64(broker.settings.wheelSize))
    connection.out.append(",\"levels\":[")
    for (place, level) in broker.wheelLevels.enumerated() {
      if place > 0 { connection.out.append(",") }
      field(connection, "{\"level\":", Int64(level.level))
      field(connection, ",\"tickMs\":", level.tickMs)
      field(connection, ",\"intervalMs\":", level.intervalMs)
      field(connection, ",\"pending\":", Int64(level.pending))
      connection.out.append(",\"slots\":[")
      for (place, slot) in level.occupiedSlots.enumerated() {
        if place > 0 { connection.out.append(",") }
        field(connection, "[", Int64(slot.slot))
        field(connection, ",", Int64(slot.liveCount))
        connection.out.append("]")
      }
      connection.out.append("]}")
    }
    field(connection, "],\"onDisk\":", Int64(broker.onDiskCount))
    connection.out.endLine()
  }
}
