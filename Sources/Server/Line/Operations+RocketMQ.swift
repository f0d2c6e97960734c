// The operations of the RocketMQ front end, as far as they are the session's: subscriptions, and when a reply may go.

import Broker
import LineProtocol
import Primitives
import RocketMQFrontEnd

extension LineSession {
  private func call(_ request: Request) -> RocketMQCall {
    let session = rocketMQSession ?? RocketMQSession()
    rocketMQSession = session
    return RocketMQCall(request.reader, session, connection: key)
  }

  /// Lets the front end answer; the reply waits for what it recorded.
  func rocketMQ(
    _ request: Request,
    _ perform: (RocketMQFrontEnd, RocketMQCall, inout ByteBuffer) throws(RocketMQStop) -> Gate
  ) throws(RequestStop) {
    registerReply(rid: request.rid)
    let gate: Gate
    do throws(RocketMQStop) {
      gate = try perform(services.rocketMQ, call(request), &out)
    } catch { throw RequestStop(error) }
    hold(until: gate)
  }

  /// A transaction is decided by whoever may put messages into its topic.
  func rocketMQEndTransaction(_ request: Request) throws(RequestStop) {
    if let id = try request.string(.transactionId), let message = broker.heldMessage(id: id) {
      try broker.topicName(of: message).withBytes { (topic) throws(RequestStop) in
        try require(.schedule, .topic, topic)
      }
    }
    try rocketMQ(request) { front, call, out throws(RocketMQStop) in try front.endTransaction(call, to: &out) }
  }

  func rocketMQSubscribe(_ request: Request) throws(RequestStop) {
    try requireSubscriptionRoom()
    try rocketMQ(request) { frontEnd, call, out throws(RocketMQStop) in
      let answer = try frontEnd.subscribe(call, sub: nextSub, to: &out)
      adopt(answer.value)
      return answer.gate
    }
  }

  func rocketMQAck(_ request: Request) throws(RequestStop) {
    try rocketMQ(request) { frontEnd, call, out throws(RocketMQStop) in try frontEnd.acknowledge(call, to: &out) }
  }
}

extension RequestStop {
  init(_ stop: RocketMQStop) {
    switch stop {
    case .refused(let refusal): self = .refused(refusal)
    case .broker(let stop): self.init(stop)
    }
  }
}
