// The operations of the RocketMQ front end, as far as they are the server's: connections, and when a reply may go.

import Broker
import LineProtocol
import Primitives
import RocketMQFrontEnd

extension Server {
  private func call(_ request: Request) -> RocketMQCall {
    let connection = request.connection
    let session = connection.rocketMQ ?? RocketMQSession()
    connection.rocketMQ = session
    return RocketMQCall(request.reader, session, connection: connection.key)
  }

  /// Lets the front end answer; the reply waits for what it recorded.
  func rocketMQ(
    _ request: Request,
    _ perform: (RocketMQFrontEnd, RocketMQCall, inout ByteBuffer) throws(RocketMQStop) -> Gate
  ) throws(RequestStop) {
    let gate: Gate
    do throws(RocketMQStop) {
      gate = try perform(rocketMQ, call(request), &request.connection.out)
    } catch { throw RequestStop(error) }
    hold(request.connection, until: gate)
  }

  func rocketMQSubscribe(_ request: Request) throws(RequestStop) {
    let connection = request.connection
    try requireSubscriptionRoom(connection)
    try rocketMQ(request) { frontEnd, call, out throws(RocketMQStop) in
      let answer = try frontEnd.subscribe(call, sub: connection.nextSub, to: &out)
      let consumer = answer.value
      connection.consumers[consumer.sub] = consumer
      connection.nextSub += 1
      if connection.isDeliveryPaused { broker.setPaused(consumer, true) }
      return answer.gate
    }
  }

  func rocketMQAck(_ request: Request) throws(RequestStop) {
    try rocketMQ(request) { frontEnd, call, out throws(RocketMQStop) in try frontEnd.acknowledge(call, to: &out) }
  }

  // MARK: Events

  /// Writes a delivery to a consumer that is not a native one.
  func writeForeign(_ delivery: Delivery, _ connection: Connection) {
    guard let session = connection.rocketMQ else { return }
    rocketMQ.write(delivery, session, to: &connection.out)
  }

  /// Asks a live producer about a half message.
  func askProducer(about number: HeldNumber) {
    guard let key = rocketMQ.producerToAsk(about: number), let connection = connectionByKey[key] else { return }
    rocketMQ.writeCheck(number, to: &connection.out)
    touch(connection)
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
