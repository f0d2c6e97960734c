// SEND_MESSAGE in its three forms, CONSUMER_SEND_MSG_BACK, END_TRANSACTION, RECALL_MESSAGE.
//
// Holds: a batch is read through before its first message is taken, and is answered when all of it is durable.

import Broker
import Primitives
import RemotingProtocol
import RocketMQFrontEnd

extension RemotingSession {
  func send(_ header: RemotingHeader, _ body: UnsafeRawBufferPointer) throws(WireStop) {
    let request = try read { () throws(RemotingError) in try SendRequest(header) }
    let dead = frontEnd.deadLetterTopic(
      insteadOf: request.topic, reconsumeTimes: request.reconsumeTimes,
      reconsumeTimesMax: request.maxReconsumeTimes)
    guard let dead else { return try send(request, to: request.topic, header, body) }
    try dead.withBytes { topic throws(WireStop) in try send(request, to: topic, header, body) }
  }

  private func send(
    _ request: SendRequest, to topic: UnsafeRawBufferPointer, _ header: RemotingHeader,
    _ body: UnsafeRawBufferPointer
  ) throws(WireStop) {
    _ = try frontEnd.topicOnUse(topic)
    let target = SendTarget(
      topic: topic, queue: try frontEnd.queueToSend(request.queueID, to: topic), bornHost: bornHost, connection: key)
    if request.isBatch { return try sendBatch(request, target, header, body) }
    var message = WireMessage(body: body, properties: request.properties)
    message.flag = request.flag
    take(request, &message)
    let receipt = try frontEnd.take(message, target)
    let unique = request.properties["UNIQ_KEY"]
    answer(header, target, receipt, transactionID: unique, ids: offsetID(of: receipt))
  }

  /// What all messages of a request share.
  private func take(_ request: SendRequest, _ message: inout WireMessage) {
    message.isCompressed = request.sysFlag & 1 != 0
    message.bornMs = request.bornMs
    message.reconsumeTimes = request.reconsumeTimes
  }

  private func sendBatch(
    _ request: SendRequest, _ target: SendTarget, _ header: RemotingHeader, _ body: UnsafeRawBufferPointer
  ) throws(WireStop) {
    var count = 0
    try forEachMessage(request, body) { message throws(WireStop) in
      try frontEnd.check(message)
      count += 1
    }
    guard count > 0 else { throw .refused(.messageIllegal, "the message is illegal: the batch is empty") }
    var receipts: [SendReceipt] = []
    try forEachMessage(request, body) { message throws(WireStop) in
      receipts.append(try frontEnd.take(message, target))
    }
    let ids = receipts.map(offsetID).joined(separator: ",")
    answer(header, target, receipts[0], transactionID: nil, ids: ids)
  }

  private func forEachMessage(
    _ request: SendRequest, _ body: UnsafeRawBufferPointer, _ visit: (WireMessage) throws(WireStop) -> Void
  ) throws(WireStop) {
    var batch = MessageBatch(body)
    while let one = try read({ () throws(RemotingError) in try batch.next() }) {
      var message = WireMessage(body: one.body, properties: one.properties)
      message.flag = one.flag
      take(request, &message)
      try visit(message)
    }
  }

  private func offsetID(of receipt: SendReceipt) -> String {
    MessageID(host: frontEnd.wireSettings.host, physicalOffset: receipt.place.physicalOffset).text
  }

  private func answer(
    _ header: RemotingHeader, _ target: SendTarget, _ receipt: SendReceipt, transactionID: UnsafeRawBufferPointer?,
    ids: String
  ) {
    output.hold(until: broker.gate)
    var frame = RemotingFrameWriter(response: .success, to: header, &out)
    frame.field("msgId", ids, &out)
    frame.field("queueId", Int64(target.queue), &out)
    frame.field("queueOffset", receipt.queueOffset, &out)
    if let handle = receipt.recallHandle { frame.field("recallHandle", handle, &out) }
    if let transactionID { frame.field("transactionId", transactionID, &out) }
    frame.endHeader(&out)
    frame.end(&out)
  }

  // MARK: Afterwards

  func sendBack(_ header: RemotingHeader) throws(WireStop) {
    let group = try text(header, "group")
    try frontEnd.requireGroupName(group)
    let place = MessagePlace(physicalOffset: try integer(header, "offset"))
    let level = try read { () throws(RemotingError) in try header.fields.requiredInt32("delayLevel") }
    let timesMax = try read { () throws(RemotingError) in try header.fields.int32("maxReconsumeTimes") }
    try frontEnd.sendBack(place, group: group, level: level, reconsumeTimesMax: timesMax, connection: key)
    output.hold(until: broker.gate)
    answer(header)
  }

  func endTransaction(_ header: RemotingHeader) throws(WireStop) {
    let verdict: HeldVerdict
    switch try integer(header, "commitOrRollback") {
    case 8: verdict = .release
    case 12: verdict = .drop
    case 0: verdict = .undecided
    default:
      throw .refused(.systemError, "the field 'commitOrRollback' must be 8 (commit), 12 (rollback) or 0 (unknown)")
    }
    let outcome = try frontEnd.decide(try placesOfHalf(header), verdict)
    guard outcome != .unknown else {
      throw .refused(.queryNotFound, "there is no such transaction, or it ended long ago")
    }
    output.hold(until: broker.gate)
    let isAsAsked =
      switch (verdict, outcome) {
      case (.release, .released), (.drop, .dropped), (.undecided, _): true
      default: false
      }
    guard isAsAsked else {
      throw .refused(.systemError, "the transaction was decided before, and not so: it was \(Self.words(for: outcome))")
    }
    answer(header)
  }

  /// Each of the ways in which a client names its half message: by the offset of the log, by that of the queue, by the id.
  private func placesOfHalf(_ header: RemotingHeader) throws(WireStop) -> [MessagePlace?] {
    let numbers = try read { () throws(RemotingError) in
      (log: try header.fields.int64("commitLogOffset"), queue: try header.fields.int64("tranStateTableOffset"))
    }
    let id = header.fields.string("msgId").flatMap { MessageID($0) }
    return [
      numbers.log.flatMap { MessagePlace(physicalOffset: $0) },
      numbers.queue.flatMap { UInt64(exactly: $0) }.map { .accepted($0) },
      id.flatMap { MessagePlace(physicalOffset: $0.physicalOffset) },
    ]
  }

  private static func words(for outcome: HeldOutcome) -> String {
    switch outcome {
    case .released: "committed"
    case .dropped: "rolled back"
    case .abandoned: "discarded, because nobody had decided for too long"
    case .held, .unknown: "not decided"
    }
  }

  func recall(_ header: RemotingHeader) throws(WireStop) {
    let topic = try text(header, "topic")
    guard let handle = frontEnd.recallHandle(try text(header, "recallHandle"), topic) else {
      throw .refused(.systemError, "the field 'recallHandle' must be the one that this server gave for this 'topic'")
    }
    let answer: Answer<CancelOutcome>
    do throws(BrokerStop) { answer = try frontEnd.recall(handle) } catch { throw WireStop(error) }
    output.hold(until: answer.gate)
    switch answer.value {
    case .cancelled: break
    case .released: throw .refused(.queryNotFound, "the message was released before it could be recalled")
    case .unknown: throw .refused(.queryNotFound, "the message is not known, or it was released long ago")
    }
    var frame = RemotingFrameWriter(response: .success, to: header, &out)
    frame.field("msgId", handle.messageID, &out)
    frame.endHeader(&out)
    frame.end(&out)
  }
}
