// Heartbeats, members of groups, locks of queues.

import LineProtocol
import Primitives
import RemotingProtocol
import RocketMQFrontEnd

extension RemotingSession {
  func heartbeat(_ header: RemotingHeader, _ body: UnsafeRawBufferPointer) throws(WireStop) {
    let heartbeat = try read { () throws(RemotingError) in try Heartbeat(body, services.remoting.json) }
    try frontEnd.note(heartbeat, producer, connection: key)
    answer(header)
  }

  func unregister(_ header: RemotingHeader) throws(WireStop) {
    let fields = header.fields
    func field(_ name: StaticString) -> String { fields.string(name).map { String(decoding: $0, as: UTF8.self) } ?? "" }
    frontEnd.unregister(
      clientID: field("clientID"), producerGroup: field("producerGroup"), consumerGroup: field("consumerGroup"),
      producer,
      connection: key)
    answer(header)
  }

  func listMembers(_ header: RemotingHeader) throws(WireStop) {
    let group = String(decoding: try text(header, "consumerGroup"), as: UTF8.self)
    let ids = frontEnd.groups.members(of: group).map(\.clientID)
    guard !ids.isEmpty else { throw .refused(.systemError, "no consumer of group '\(group)' is here") }
    answer(header) { $0.appendConsumerIDs(ids) }
  }

  /// Whether a subscription can be served: asked by clients that filter by SQL.
  func checkConfiguration(_ header: RemotingHeader, _ body: UnsafeRawBufferPointer) throws(WireStop) {
    let type = try read { () throws(RemotingError) in try SubscriptionCheck(body, services.remoting.json).expressionType
    }
    guard type == "TAG" else {
      throw .refused(
        .subscriptionParseFailed, "this broker does not support filters of type \(type); use tags joined by ||")
    }
    answer(header)
  }

  /// Locks queues; an answer that refuses some is put off, since clients ask again at once.
  func lockQueues(_ header: RemotingHeader, _ body: UnsafeRawBufferPointer) throws(WireStop) {
    let request = try lockRequest(body)
    let locked = frontEnd.lock(request)
    let mark = output.mark
    let start = out.count
    answer(header) { $0.appendLockedQueues(locked) }
    guard locked.count < request.queues.count, canHoldMore else { return }
    let bytes = Array(out.readable[start...])
    output.takeBack(to: mark)
    if !header.isOneWay { putOff(bytes, RequestReference(header)) }
  }

  func unlockQueues(_ header: RemotingHeader, _ body: UnsafeRawBufferPointer) throws(WireStop) {
    frontEnd.unlock(try lockRequest(body))
    answer(header)
  }

  private func lockRequest(_ body: UnsafeRawBufferPointer) throws(WireStop) -> QueueLockRequest {
    try read { () throws(RemotingError) in try QueueLockRequest(body, services.remoting.json) }
  }
}
