// createTopic, deleteTopic, topics, stats, wheel.

import Broker
import LineProtocol
import Primitives
import TimingWheel

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

  /// Whether the client may see a topic. Queues have listings of their own.
  func isShown(_ topic: Topic) -> Bool { !topic.isQueue && allows(.inspect, .topic, topic.name) }

  /// Whether the client may see a group.
  func isShown(_ group: Group) -> Bool { allows(.inspect, .group, group.name) }

  func topics(_ request: Request) {
    beginReply(request)
    list(",\"topics\":[", broker.topicsInOrder.filter(isShown)) { topic in
      write(topic, broker.groupsInOrder(topic).filter(isShown))
    }
    out.endLine()
  }

  /// Writes an array of objects; `write` writes one.
  func list<Element>(_ field: StaticString, _ elements: [Element], _ write: (Element) -> Void) {
    out.append(field)
    for (place, element) in elements.enumerated() {
      if place > 0 { out.append(",") }
      write(element)
    }
    out.append("]")
  }

  func write(_ topic: Topic, _ groups: [Group]) {
    out.append("{\"topic\":")
    out.appendJSONString(topic.name)
    field(",\"pending\":", Int64(topic.pendingCount))
    field(",\"firstOffset\":", Int64(topic.log.firstOffset))
    field(",\"nextOffset\":", Int64(topic.log.nextOffset))
    field(",\"bytes\":", Int64(topic.log.bytes))
    list(",\"groups\":[", groups) { group in
      out.append("{\"group\":")
      out.appendJSONString(group.name)
      field(",\"committed\":", Int64(group.committed))
      field(",\"lag\":", Int64(group.lag))
      field(",\"inFlight\":", Int64(group.inFlight))
      field(",\"members\":", Int64(group.members))
      out.append("}")
    }
    out.append("}")
  }

  /// Appends a name, with the comma in front and the colon behind, and a number.
  func field(_ name: StaticString, _ value: Int64) {
    out.append(name)
    out.appendInteger(value)
  }

  func stats(_ request: Request) {
    beginReply(request)
    for statistic in services.statistics {
      out.append(",")
      write(statistic)
    }
    out.endLine()
  }

  func write(_ statistic: Statistic) {
    out.appendJSONString(statistic.name)
    out.append(":")
    out.appendInteger(statistic.value)
  }

  func wheel(_ request: Request) {
    beginReply(request)
    field(",\"nowMs\":", broker.nowMs)
    field(",\"tickMs\":", broker.settings.tickMs)
    field(",\"wheelSize\":", Int64(broker.settings.wheelSize))
    list(",\"levels\":[", broker.wheelLevels) { level in
      write(level, slots: level.occupiedSlots.map { ($0.slot, $0.liveCount) })
    }
    field(",\"onDisk\":", Int64(broker.onDiskCount))
    out.endLine()
  }

  func write(_ level: LevelSnapshot, slots: [(slot: Int, count: Int)]) {
    field("{\"level\":", Int64(level.level))
    field(",\"tickMs\":", level.tickMs)
    field(",\"intervalMs\":", level.intervalMs)
    field(",\"pending\":", Int64(level.pending))
    list(",\"slots\":[", slots) { slot in
      field("[", Int64(slot.slot))
      field(",", Int64(slot.count))
      out.append("]")
    }
    out.append("}")
  }
}
