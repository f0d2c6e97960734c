// The metrics page: the numbers of `stats`, values by size, and numbers by topic.
//
// Holds: the topics shown are bounded in number; how many are not is a metric.

import Broker
import HTTPProtocol
import Primitives

extension Services {
  /// The page as of now. O(topics × log topics + groups).
  var metrics: PrometheusText {
    var page = PrometheusText()
    for statistic in statistics {
      guard let name = statistic.metric else { continue }
      page.begin(name, statistic.kind, statistic.help)
      if statistic.perBaseUnit == 1 {
        page.sample(Int(statistic.value))
      } else {
        page.sample(Double(statistic.value) / Double(statistic.perBaseUnit))
      }
    }
    page.histogram(
      "escapement_release_lateness_seconds", "Time from when a message was due to its release.",
      broker.counters.latenessMs, unitsPerSecond: 1000)
    page.histogram(
      "escapement_journal_sync_seconds", "Time that a sync of the journal took.", engine.log.counters.syncUs,
      unitsPerSecond: 1_000_000)
    page.histogram(
      "escapement_reply_seconds", "Time from reading a request to when what it says is durable and may be sent.",
      counters.replyUs, unitsPerSecond: 1_000_000)
    let topics = broker.topicsInOrder.filter { !$0.isQueue }
    let shown = topics.prefix(settings.metricTopicsMax)
    page.gauge(
      "escapement_unlisted_topics", "Topics that the metrics by topic leave out, the last ones by name.",
      topics.count - shown.count)
    addTopics(shown, to: &page)
    addGroups(shown, to: &page)
    return page
  }

  private func addTopics(_ topics: ArraySlice<Topic>, to page: inout PrometheusText) {
    page.begin("escapement_topic_messages_total", .counter, "Messages that were put into the topic, ever.")
    for topic in topics { page.sample(Int(clamping: topic.log.nextOffset), ["topic": topic.name]) }
    page.begin("escapement_topic_pending_messages", .gauge, "Messages scheduled for the topic and not released.")
    for topic in topics { page.sample(topic.pendingCount, ["topic": topic.name]) }
    page.begin("escapement_topic_log_bytes", .gauge, "Bytes of the topic's log on disk.")
    for topic in topics { page.sample(Int(topic.log.bytes), ["topic": topic.name]) }
  }

  private func addGroups(_ topics: ArraySlice<Topic>, to page: inout PrometheusText) {
    let groups = topics.flatMap { broker.groupsInOrder($0).prefix(settings.metricTopicsMax) }
    page.begin("escapement_group_lag_messages", .gauge, "Messages that the group has not finished.")
    for group in groups { page.sample(Int(group.lag), ["topic": group.topic.name, "group": group.name]) }
    page.begin("escapement_group_in_flight_messages", .gauge, "Deliveries of the group not acknowledged yet.")
    for group in groups { page.sample(group.inFlight, ["topic": group.topic.name, "group": group.name]) }
  }
}

extension PrometheusText {
  fileprivate mutating func histogram(
    _ name: StaticString, _ help: StaticString, _ histogram: Histogram, unitsPerSecond: Double
  ) {
    begin(name, .histogram, help)
    self.histogram(
      bounds: histogram.bounds.map { Double($0) / unitsPerSecond }, counts: histogram.counts.map { Int(clamping: $0) },
      sum: Double(histogram.sum) / unitsPerSecond)
  }
}
