// Counters and gauges in one list: what `stats` answers.

import Broker
import Primitives

extension Services {
  /// Every number by name. Counters count since the start; names say their unit.
  var statistics: [(name: String, value: Int64)] {
    let gauges = broker.gauges
    let counts = broker.counters
    let log = engine.log.counters
    return [
      ("nowMs", broker.nowMs), ("uptimeMs", broker.nowMs - startedMs),
      ("scheduled", Int64(counts.scheduled)), ("cancelled", Int64(counts.cancelled)),
      ("rescheduled", Int64(counts.rescheduled)), ("released", Int64(counts.released)),
      ("published", Int64(counts.published)), ("delivered", Int64(counts.delivered)),
      ("redelivered", Int64(counts.redelivered)), ("acked", Int64(counts.acknowledged)),
      ("nacked", Int64(counts.refused)), ("deadLettered", Int64(counts.deadLettered)),
      ("releaseLatenessMsSum", Int64(clamping: counts.latenessMsSum)),
      ("pending", Int64(gauges.pending)), ("expiring", Int64(gauges.expiring)), ("pendingOnDisk", Int64(gauges.onDisk)),
      ("dueNow", Int64(gauges.dueNow)),
      ("pendingBytes", Int64(gauges.pendingBytes)), ("settledIds", Int64(gauges.settledIDs)),
      ("held", Int64(gauges.held)),
      ("topics", Int64(gauges.topics)), ("groups", Int64(gauges.groups)), ("consumers", Int64(gauges.consumers)),
      ("inFlight", Int64(gauges.inFlight)), ("cacheBytes", Int64(gauges.cacheBytes)),
      ("connections", Int64(counters.connections)), ("connectionsAccepted", Int64(counters.connectionsAccepted)),
      ("connectionsRefused", Int64(counters.connectionsRefused)), ("requests", Int64(counters.requests)),
      ("refusals", Int64(counters.refusals)), ("bytesReceived", Int64(clamping: counters.bytesReceived)),
      ("bytesSent", Int64(clamping: counters.bytesSent)), ("turns", Int64(counters.turns)),
      ("journalSequence", Int64(engine.log.writtenSequence)),
      ("journalDurableSequence", Int64(engine.log.durableSequence)),
      ("journalBytes", Int64(engine.counters.logBytes)), ("journalSyncs", Int64(log.syncs)),
      ("journalLastSyncUs", log.lastSyncNs / 1000), ("journalMaxSyncUs", log.maxSyncNs / 1000),
      ("checkpoints", Int64(engine.counters.checkpoints)), ("diskFull", broker.isDiskFull ? 1 : 0),
      ("storageFailed", broker.failure == nil ? 0 : 1), ("clockForwardSteps", Int64(clock.forwardSteps)),
      ("clockBackwardSteps", Int64(clock.backwardSteps)),
    ]
  }
}
