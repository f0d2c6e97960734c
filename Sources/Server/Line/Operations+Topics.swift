// createTopic, deleteTopic, topics, stats, wheel.

import Broker
import LineProtocol
import Primitives

extension LineSession {
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
    beginReply(request)
    out.append(field)
    out.appendBoolean(answer.value)
    out.endLine()
    hold(until: answer.gate)
  }

  /// What the client may see of the topics.
  private var shownTopics: [Topic] {
    broker.topicsInOrder.filter { !$0.isQueue && allows(.inspect, .topic, $0.name) }
  }

  func topics(_ request: Request) {
    beginReply(request)
    out.append(",\"topics\":[")
    for (place, topic) in shownTopics.enumerated() {
      if place > 0 { out.append(",") }
      out.append("{\"topic\":")
      out.appendJSONString(topic.name)
      field(",\"pending\":", Int64(topic.pendingCount))
      field(",\"firstOffset\":", Int64(topic.log.firstOffset))
      field(",\"nextOffset\":", Int64(topic.log.nextOffset))
      field(",\"bytes\":", Int64(topic.log.bytes))
      out.append(",\"groups\":[")
      for (place, group) in broker.groupsInOrder(topic).filter({ allows(.inspect, .group, $0.name) }).enumerated() {
        if place > 0 { out.append(",") }
        out.append("{\"group\":")
        out.appendJSONString(group.name)
        field(",\"committed\":", Int64(group.committed))
        field(",\"lag\":", Int64(group.lag))
        field(",\"inFlight\":", Int64(group.inFlight))
        field(",\"members\":", Int64(group.members))
        out.append("}")
      }
      out.append("]}")
    }
    out.append("]}\n")
  }

  private func field(_ name: StaticString, _ value: Int64) {
    out.append(name)
    out.appendInteger(value)
  }

  func stats(_ request: Request) {
    beginReply(request)
    for statistic in services.statistics {
      out.append(",")
      out.appendJSONString(statistic.name)
      out.append(":")
      out.appendInteger(statistic.value)
    }
    out.endLine()
  }

  func wheel(_ request: Request) {
    beginReply(request)
    field(",\"nowMs\":", broker.nowMs)
    field(",\"tickMs\":", broker.settings.tickMs)
    field(",\"wheelSize\":", Int64(broker.settings.wheelSize))
    out.append(",\"levels\":[")
    for (place, level) in broker.wheelLevels.enumerated() {
      if place > 0 { out.append(",") }
      field("{\"level\":", Int64(level.level))
      field(",\"tickMs\":", level.tickMs)
      field(",\"intervalMs\":", level.intervalMs)
      field(",\"pending\":", Int64(level.pending))
      out.append(",\"slots\":[")
      for (place, slot) in level.occupiedSlots.enumerated() {
        if place > 0 { out.append(",") }
        field("[", Int64(slot.slot))
        field(",", Int64(slot.liveCount))
        out.append("]")
      }
      out.append("]}")
    }
    field("],\"onDisk\":", Int64(broker.onDiskCount))
    out.endLine()
  }
}
