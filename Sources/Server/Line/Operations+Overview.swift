// overview: what somebody who watches the server looks at once a second, in one answer of bounded size; read: released
// messages of a topic, without a group.
//
// Holds: the work and the answer are bounded by the limit and by the shape of the wheels, not by how many messages are pending;
// names beyond the limit cost a comparison each.

import Broker
import LineProtocol
import Primitives
import RabbitMQFrontEnd
import TimingWheel

extension LineSession {
  /// A ring that people look at has at most so many sectors; finer wheels are shown with several slots in one.
  static let sectorsMax = 512

  func overview(_ request: Request) throws(RequestStop) {
    let limit = Int(try request.integer(.limit, in: 1...1000) ?? 100)
    beginReply(request)
    out.append(",\"server\":")
    out.appendJSONString(ServerVersion.text)
    field(",\"nowMs\":", broker.nowMs)
    if !services.admission.asksWho || identity?.allowsEverywhere(.inspect) == true { writeInside() }
    writeTables(limit)
    out.endLine()
  }

  /// What is about the whole server.
  private func writeInside() {
    out.append(",\"stats\":{")
    for (place, statistic) in services.statistics.enumerated() {
      if place > 0 { out.append(",") }
      write(statistic)
    }
    let lateness = broker.counters.latenessMs
    list("},\"lateness\":{\"boundsMs\":[", lateness.bounds) { out.appendInteger($0) }
    list(",\"counts\":[", lateness.counts) { out.appendInteger($0) }
    let sectors = min(Self.sectorsMax, broker.settings.wheelSize)
    field("},\"wheel\":{\"tickMs\":", broker.settings.tickMs)
    field(",\"wheelSize\":", Int64(broker.settings.wheelSize))
    field(",\"sectors\":", Int64(sectors))
    list(",\"levels\":[", broker.wheelLevels) { level in
      write(level, slots: Self.sectors(of: level, sectors, wheelSize: broker.settings.wheelSize))
    }
    field("},\"disk\":{\"demoted\":", Int64(clamping: broker.demotedCount))
    list(",\"slices\":[", broker.diskSlices) { slice in
      field("{\"level\":", Int64(slice.level))
      field(",\"startMs\":", slice.startMs)
      field(",\"endMs\":", slice.endMs)
      field(",\"pending\":", Int64(slice.liveCount))
      out.append(",\"moving\":")
      out.appendBoolean(slice.isMoving)
      out.append("}")
    }
    out.append("}")
  }

  /// Occupied slots, as many neighbours in one as it takes to have no more than `sectors`.
  private static func sectors(of level: LevelSnapshot, _ sectors: Int, wheelSize: Int) -> [(slot: Int, count: Int)] {
    var merged: [(slot: Int, count: Int)] = []
    for slot in level.occupiedSlots {
      let sector = slot.slot * sectors / wheelSize
      if merged.last?.slot == sector {
        merged[merged.count - 1].count += slot.liveCount
      } else {
        merged.append((sector, slot.liveCount))
      }
    }
    return merged
  }

  /// Topics with their groups, queues and exchanges: the first ones by name that the client may see.
  private func writeTables(_ limit: Int) {
    let topics = broker.firstTopics(limit + 1, where: isShown)
    list(",\"topics\":[", Array(topics.prefix(limit))) { topic in
      write(topic, broker.firstGroups(limit, of: topic, where: isShown))
    }
    let queues = services.rabbitMQ.firstQueues(limit + 1, where: isShown)
    list(",\"queues\":[", Array(queues.prefix(limit)), write)
    let exchanges = services.rabbitMQ.firstExchanges(limit + 1, where: isShown)
    list(",\"exchanges\":[", Array(exchanges.prefix(limit)), write)
    out.append(",\"hasMore\":")
    out.appendBoolean(topics.count > limit || queues.count > limit || exchanges.count > limit)
  }

  // MARK: Released messages

  func read(_ request: Request) throws(RequestStop) {
    let topic = try request.requiredName(.topic)
    let offset = try request.integer(.offset, in: 0 ... .max)
    let limit = try request.integer(.limit, in: 1...1000) ?? 100
    let answer: Answer<TopicPage>
    do throws(BrokerStop) {
      answer = try broker.read(
        topic: topic, from: offset.map { TopicOffset($0) }, limit: Int(limit), connection: key)
    } catch { throw RequestStop(error) }
    let page = answer.value
    beginReply(request)
    list(",\"messages\":[", page.messages) { record in
      out.append("{")
      EventWriter.released(record, of: page.topic, attempt: 0, to: &out)
    }
    out.append(",\"nextOffset\":")
    out.appendInteger(page.nextOffset)
    out.endLine()
    hold(until: answer.gate)
  }
}
