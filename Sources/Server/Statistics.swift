// Counters and gauges in one list: what `stats` answers and what the metrics page shows.
//
// Leaves to others: the metrics page's text, and the numbers by topic and by size (MetricsPage).

import Broker
import HTTPProtocol
import Primitives

/// A number about the server.
struct Statistic {
  /// Its name in `stats`, with its unit.
  let name: String
  /// Its name on the metrics page, in base units; nil for a number that is part of another metric there.
  let metric: StaticString?
  let kind: PrometheusText.Kind
  let help: StaticString
  let value: Int64
  /// How many of its units are one base unit.
  let perBaseUnit: Int64

  static func counter(
    _ name: String, _ metric: StaticString?, _ help: StaticString, _ value: some BinaryInteger, per: Int64 = 1
  ) -> Statistic {
    Statistic(
      name: name, metric: metric, kind: .counter, help: help, value: Int64(clamping: value), perBaseUnit: per)
  }

  static func gauge(
    _ name: String, _ metric: StaticString, _ help: StaticString, _ value: some BinaryInteger, per: Int64 = 1
  ) -> Statistic {
    Statistic(name: name, metric: metric, kind: .gauge, help: help, value: Int64(clamping: value), perBaseUnit: per)
  }
}

extension Services {
  /// Every number. Counters count since the start. O(groups).
  var statistics: [Statistic] {
    timeStatistics + messageStatistics + stateStatistics + networkStatistics + logStatistics
  }

  private var timeStatistics: [Statistic] {
    [
      .gauge("nowMs", "escapement_service_time_seconds", "Service time since 1970.", broker.nowMs, per: 1000),
      .gauge("uptimeMs", "escapement_uptime_seconds", "Time since the start.", broker.nowMs - startedMs, per: 1000),
    ]
  }

  private var messageStatistics: [Statistic] {
    let counts = broker.counters
    return [
      .counter("scheduled", "escapement_scheduled_messages_total", "Messages accepted for later.", counts.scheduled),
      .counter("cancelled", "escapement_cancelled_messages_total", "Messages cancelled.", counts.cancelled),
      .counter(
        "rescheduled", "escapement_rescheduled_messages_total", "Messages given another time.", counts.rescheduled),
      .counter("released", "escapement_released_messages_total", "Messages released into topics.", counts.released),
      .counter(
        "published", "escapement_published_messages_total", "Messages published without delay.", counts.published),
      .counter("delivered", "escapement_first_deliveries_total", "First deliveries of messages.", counts.delivered),
      .counter("redelivered", "escapement_redeliveries_total", "Deliveries after the first.", counts.redelivered),
      .counter("acked", "escapement_acknowledged_deliveries_total", "Deliveries acknowledged.", counts.acknowledged),
      .counter("nacked", "escapement_refused_deliveries_total", "Deliveries that consumers refused.", counts.refused),
      .counter("deadLettered", "escapement_dead_letters_total", "Messages dead-lettered.", counts.deadLettered),
      .counter("releaseLatenessMsSum", nil, "", counts.latenessMs.sum),
    ]
  }

  private var stateStatistics: [Statistic] {
    let gauges = broker.gauges
    return [
      .gauge("pending", "escapement_pending_messages", "Messages scheduled and not released.", gauges.pending),
      .gauge(
        "expiring", "escapement_expiring_messages", "Messages in queues that have a time to live.", gauges.expiring),
      .gauge(
        "pendingOnDisk", "escapement_disk_pending_messages", "Pending messages that lie on disk only.", gauges.onDisk),
      .gauge(
        "pendingSpilled", "escapement_spilled_messages",
        "Messages due soon that lie on disk for want of memory; those cancelled since count until their time.",
        gauges.spilled),
      .gauge(
        "dueNow", "escapement_due_messages", "Messages in memory that are due and not released yet.", gauges.dueNow),
      .gauge(
        "pendingBytes", "escapement_pending_bytes", "Bytes of pending messages in memory.", gauges.pendingBytes),
      .gauge(
        "settledIds", "escapement_remembered_ids", "Ids remembered after release or cancel.", gauges.recentOutcomes),
      .gauge("held", "escapement_held_messages", "Messages of undecided transactions.", gauges.held),
      .gauge("topics", "escapement_topics", "Topics, queues among them.", gauges.topics),
      .gauge("groups", "escapement_groups", "Groups of all topics.", gauges.groups),
      .gauge("consumers", "escapement_consumers", "Subscriptions and fetching connections.", gauges.consumers),
      .gauge("inFlight", "escapement_in_flight_messages", "Deliveries not acknowledged yet.", gauges.inFlight),
      .gauge(
        "memoryBytes", "escapement_memory_bytes", "About what messages and connections take of memory.", memoryBytes),
      .gauge("cacheBytes", "escapement_topic_cache_bytes", "Bytes of topic logs in memory.", gauges.cacheBytes),
    ]
  }

  private var networkStatistics: [Statistic] {
    [
      .gauge("connections", "escapement_connections", "Connections now.", counters.connections),
      .counter(
        "connectionsAccepted", "escapement_accepted_connections_total", "Connections accepted.",
        counters.connectionsAccepted),
      .counter(
        "connectionsRefused", "escapement_refused_connections_total", "Connections turned away.",
        counters.connectionsRefused),
      .counter(
        "connectionsTimedOut", "escapement_timed_out_connections_total",
        "Connections that took too long for something.",
        counters.connectionsTimedOut),
      .counter(
        "tlsHandshakes", "escapement_tls_handshakes_total", "Handshakes of TLS that were finished.", counters.handshakes
      ),
      .counter(
        "tlsHandshakesFailed", "escapement_failed_tls_handshakes_total",
        "Handshakes of TLS that failed or took too long.",
        counters.handshakesFailed),
      .counter("requests", "escapement_requests_total", "Requests.", counters.requests),
      .counter("refusals", "escapement_refused_requests_total", "Requests refused.", counters.refusals),
      .counter("bytesReceived", "escapement_received_bytes_total", "Bytes received.", counters.bytesReceived),
      .counter("bytesSent", "escapement_sent_bytes_total", "Bytes sent.", counters.bytesSent),
      .counter("turns", "escapement_turns_total", "Turns of the loop.", counters.turns),
    ]
  }

  private var logStatistics: [Statistic] {
    let log = engine.log.counters
    return [
      .counter(
        "journalSequence", "escapement_journal_records_total", "The sequence of the last record written.",
        engine.log.writtenSequence),
      .counter(
        "journalDurableSequence", "escapement_journal_durable_records_total",
        "The sequence of the last durable record.", engine.log.durableSequence),
      .counter(
        "journalBytes", "escapement_journal_written_bytes_total", "Bytes written to the journal.",
        engine.counters.logBytes),
      .counter("journalSyncs", nil, "", log.syncs),
      .gauge(
        "journalLastSyncUs", "escapement_journal_last_sync_seconds", "How long the last sync took.",
        log.lastSyncNs / 1000, per: 1_000_000),
      .gauge(
        "journalMaxSyncUs", "escapement_journal_longest_sync_seconds", "How long the longest sync took.",
        log.maxSyncNs / 1000, per: 1_000_000),
      .counter("checkpoints", "escapement_checkpoints_total", "Checkpoints written.", engine.counters.checkpoints),
      .gauge(
        "freeDiskBytes", "escapement_free_disk_bytes", "Free bytes of the disk at the last look; 0 before the first.",
        engine.counters.freeDiskBytes),
      .gauge(
        "diskFull", "escapement_disk_full", "1 while new messages are refused for want of disk space.",
        broker.isDiskFull ? 1 : 0),
      .gauge(
        "memoryFull", "escapement_memory_full", "1 while new messages are refused for want of memory.",
        broker.isMemoryFull ? 1 : 0),
      .gauge(
        "storageFailed", "escapement_storage_failed", "1 after the store has failed.", broker.failure == nil ? 0 : 1),
      .counter(
        "clockForwardSteps", "escapement_clock_forward_steps_total", "Steps of the wall clock that were followed.",
        clock.forwardSteps),
      .counter(
        "clockBackwardSteps", "escapement_clock_backward_steps_total", "Steps of the wall clock that were waited out.",
        clock.backwardSteps),
    ]
  }
}
