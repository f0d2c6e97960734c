// The numbers that the pages quote: words of a page, with the number from the code.

import AMQPProtocol
import Foundation

@testable import Broker
@testable import DecisionLog
@testable import DelayStore
@testable import Engine
@testable import Journal
@testable import LineProtocol
@testable import Primitives
@testable import RabbitMQFrontEnd
@testable import RocketMQFrontEnd
@testable import Server
@testable import TimingWheel
@testable import escapement

enum Quotes {
  static let server = ServerSettings()
  static let engine = server.engine
  static let broker = engine.broker
  static let consumer = ConsumerOptions()
  private static let host = server.listeners[0].host
  private static let port = "\(server.listeners[0].port)"

  /// `// swift-tools-version: 6.2`
  private static let swift = ((try? Repository.text("Package.swift")) ?? "").prefix { $0 != "\n" }
    .drop { !$0.isNumber }

  private static func spaced(_ number: some BinaryInteger) -> String { Written.spaced(number) }
  private static func bytes(_ count: Int) -> String { Written.bytes(count) }
  private static func time(_ ms: Int64) -> String { Written.time(ms) }
  private static func literal(_ pattern: String) -> String { Written.literal(pattern) }
  private static func spacedLiteral(_ pattern: String) -> String {
    let text = literal(pattern)
    return Int(text).map(spaced) ?? text
  }

  private static func powerOfTwo(_ pattern: String) -> String {
    let bits = literal(pattern)
    return Int(bits).map { "\(1 << $0)" } ?? bits
  }

  // MARK: Request fields, whose ranges stand where they are read

  private static let creditMax = spacedLiteral(#"integer\((?:reader, )?\.credit, in: 1\.\.\.([0-9_]+)\)"#)
  private static let fetchMax = literal(#"integer\(\.max, in: 1\.\.\.([0-9_]+)\)"#)
  private static let fetchDefault = literal(#"integer\(\.max, in: \S+ \?\? ([0-9_]+)"#)
  private static let waitMsMax = spacedLiteral(#"integer\(\.waitMs, in: 0\.\.\.([0-9_]+)\)"#)
  private static let listMax = literal(#"integer\(\.limit, in: 1\.\.\.(1[0-9_]+)\) \?\? 100\b"#)
  private static let redriveMax = spacedLiteral(#"integer\(\.limit, in: 1\.\.\.([0-9_]+)\) \?\? 1000\b"#)
  private static let keyBytesMax = literal(#"key\.count <= ([0-9]+)"#)
  private static let tagBytesMax = literal(#"[^a-z]tag\.count <= ([0-9]+)"#)
  private static let nameBytesMax = literal(#"guard 1\.\.\.([0-9]+) ~= bytes\.count else"#)
  private static let idBytesMax = literal(#"guard 1\.\.\.([0-9]+) ~= bytes\.count, let"#)

  // MARK: The pages

  static let contributing = ["Swift \(swift) or newer"]

  static let readme = [
    "It needs Swift \(swift) or newer",
    "nc -q 0 127.0.0.1 \(port)",
    #"os.environ.get("ESCAPEMENT_SERVER", "127.0.0.1:\#(port)")"#,
    #"EscapementClient(host: "127.0.0.1", port: \#(port))"#,
    "until \(Written.word(Int(broker.idWindowMs / 60_000))) minutes after it was released or cancelled",
    "| `--data DIR` | data folder | `\(server.dataFolder)` |",
    "| `--listen HOST:PORT` | where to listen; port 0 picks one and prints it | `\(host):\(port)` |",
    "up to that); `never` | `\(server.journal.policy)` |",
    "shape of the timing wheel | \(broker.tickMs), \(broker.wheelSize) |",
    "topics and groups on first use | `\(broker.createsOnUse ? "on" : "off")` |",
    "how long ids are remembered | \(broker.idWindowMs) |",
  ]

  static let architecture =
    [
      "one to two slices (\(Double(broker.sliceMs / 100) / 10) s each by default)",
      "files of width `sliceMs × \(SliceLayout.fanOut)^k`",
      "Ten years ahead is level \(levelOfTheFarthest).",
      "\(SliceLayout.fanOut) a level bounds",
      "a chain of \(Chunk.bytes)-byte chunks of \(Chunk.entryBytes)-byte entries",
      "`MessageRecord` (\(MessageRecord.headerLength) bytes of header",
      "keyed by \(MemoryLayout<StoreID>.size) random bytes of the log",
      "\(PendingIndex.entryBytes) bytes an entry, at most 13/16 full, in \(spaced(1 << PendingIndex.shardBits)) shards",
      "its journal record's × \(powerOfTwo(#"positionBits: UInt64 = ([0-9]+)"#)) + its place in the record",
      "(\(spaced(broker.releasesPerTurn)) releases a turn)",
      "**Bound.** \(spaced(Pending.retiringMax)) messages "
        + "(\(bytes(Pending.retiringMax * MemoryLayout<Pending.RetiringMessage>.stride)))",
      "table of outstanding offsets (\(MemoryLayout<Outstanding>.stride) bytes each)",
      "its dead letters follow, \(broker.endingsPerTurn) a turn",
      "in a table of \(MemoryLayout<RecentOutcomes.Entry>.stride) bytes an id",
      "bits in `OffsetSet`: a page of \(powerOfTwo(#"pageBits: UInt64 = ([0-9]+)"#)) offsets",
      "drawn to the wall clock at \(1_000_000 / ServiceClock.slewDivisor) ppm",
    ] + bounds

  /// "Every bound has a name".
  private static let bounds = [
    "Lines \(bytes(server.lineBytesMax)) (`--max-line-bytes`: `line_too_long`)",
    "connections \(spaced(server.connectionsMax)) (`busy`)",
    "unsent bytes \(bytes(server.unsentBytesMax)) a connection",
    "bytes on the way to the journal \(bytes(server.inFlightBytesMax)) (no reading)",
    "pending \(Written.millions(broker.pendingMax))",
    "topics and groups \(spaced(broker.topicsMax)) each",
    "topics and groups \(spaced(broker.groupsMax)) each",
    "exchanges \(spaced(server.exchangesMax))",
    "bindings \(spaced(server.bindingsMax))",
    "subscriptions, waiting fetches and fetched groups \(spaced(server.subscriptionsMax)) each a connection",
    "outstanding \(Written.millions(broker.outstandingMax)) a group",
    "topic memory \(bytes(broker.cacheBytes))",
    "free disk \(bytes(engine.minFreeBytes))",
  ]

  private static var levelOfTheFarthest: Int {
    SliceLayout(sliceMs: broker.sliceMs).slice(dueMs: 2_000_000_000_000 + broker.maxDelayMs, handMs: 2_000_000_000_000)
      .level
  }

  static let lineProtocol = [
    "TCP, default `\(host):\(port)`",
    "up to `maxLineBytes` (default \(bytes(server.lineBytesMax)), without the newline)",
    "nesting deeper than \(JSONScanner.depthMax)",
    "so \(JSONScanner.depthMax - 1) more fit inside",
    "(string up to \(RequestReader.ridBytesMax) bytes, or integer)",
    "`server` is text such as `\(ServerVersion.text)`",
    "Topic and group: `[A-Za-z0-9._-]{1,\(nameBytesMax)}`",
    "`id`: 1 to \(idBytesMax) bytes of UTF-8",
    "(server setting, default \(spaced(broker.idWindowMs)))",
    "(ordering key, ≤ \(keyBytesMax) bytes)",
    "`tag` (≤ \(tagBytesMax) bytes)",
    "Over `maxDelayMs` (default \(time(broker.maxDelayMs)))",
    "a crash loses at most the last \(JournalLog.lingerNs == 100_000_000 ? "tenth of a second" : "?")",
    "`messages`: 1 to \(spaced(ScheduleBatch.messagesMax)) objects",
    "`limit?` (≤ \(listMax), default 100) `cursor?`",
    "(unacknowledged at a time, default \(consumer.credit), ≤ \(creditMax))",
    "`ackWaitMs?` (default \(spaced(consumer.ackWaitMs)))",
    "`maxAttempts?` (default \(consumer.maxAttempts))",
    "`max?` (≤ \(fetchMax), default \(fetchDefault)), `waitMs?` (≤ \(waitMsMax), default 0)",
    "after \(time(Broker.backOffMs(attempts: 1))), doubled each attempt, "
      + "at most \(Broker.backOffMs(attempts: 1000) / 60_000) min.",
    "`limit?` (≤ \(redriveMax), default 1 000)",
    "that makes it \(bytes(broker.fetchBytesMax)).",
    "at most \(broker.outstandingMax == 1_000_000 ? "a million" : "?") (`--max-outstanding`)",
    "`retentionMs?` (default \(time(broker.retentionMsDefault)))",
    "A connection can have \(spaced(server.subscriptionsMax)) fetches waiting",
    "`redrive` moves at most about \(bytes(broker.deliveryBytesPerTurn)) at a time",
    "`maxReconsumeTimes?` (\(RetryRule.reconsumeTimesMaxDefault))",
  ]

  static let rocketMQ = [
    "`credit?` (1…\(creditMax), default \(consumer.credit)), "
      + "`maxReconsumeTimes?` (default \(RetryRule.reconsumeTimesMaxDefault))",
    "cancelled: level 16 of RocketMQ's table",
    "nc -q 1 127.0.0.1 \(port)",
    "is not paid within \(time(broker.delayLevelsMs[15])) is to be cancelled",
    "`--max-delay-ms`, \(time(broker.maxDelayMs)) by default",
    "level 0 → level \(RetryRule.firstLevel) + reconsumeTimes",
    "reconsumeTimes ≥ max (\(RetryRule.reconsumeTimesMaxDefault))",
    "after \(RocketMQFrontEnd.lostDeliveriesMin + 1) lost deliveries",
    "delivered again after \(time(RocketMQFrontEnd.ackWaitMs))",
    "first check after \(time(broker.heldFirstCheckMs)), then every \(time(broker.heldCheckIntervalMs)), "
      + "at most \(broker.heldChecksMax), then to `\(broker.abandonedTopic)`",
    "| `--max-delay-ms` | \(broker.maxDelayMs) |",
    "| `--id-window-ms` | \(broker.idWindowMs) |",
    "| `--transaction-check-delay-ms` | \(broker.heldFirstCheckMs) |",
    "| `--transaction-check-interval-ms` | \(broker.heldCheckIntervalMs) |",
    "| `--transaction-check-max` | \(broker.heldChecksMax) |",
    "checkpoint, \(bytes(broker.heldBytesMax)) of them at most",
  ]

  static let rabbitMQ = [
    #"socket.create_connection(("127.0.0.1", \#(port)))"#,
    "a string of 0…\(spaced(QueueArguments.timeToLiveMsMax))",
    "one death becomes at most \(RabbitMQ.lettersMax) letters",
    "up to \(bytes(Frame.payloadBytesMax)) with headers and body",
    "a line of at most \(bytes(server.lineBytesMax)) (`--max-line-bytes`)",
    "segments of \(bytes(broker.queueSegmentBytes)) "
      + "(\(Written.word(broker.segmentBytes / broker.queueSegmentBytes)) of `--segment-bytes`)",
    "| `forbidden` | \(ReplyCode.accessRefused.rawValue)",
    "| `not_found` | \(ReplyCode.notFound.rawValue)",
    "| `precondition_failed` | \(ReplyCode.preconditionFailed.rawValue)",
    "| `bad_state` | \(ReplyCode.notAllowed.rawValue)",
  ]
}
