// The methods that the benchmarks call, by name.

import Primitives

extension AMQPWire {
  /// Declares a queue.
  ///
  /// - Parameter arguments: fields as they stand in a table.
  func declareQueue(_ name: String, isDurable: Bool = true, _ arguments: [UInt8] = []) {
    call(50, 10, [0, 0] + Self.text(name) + [isDurable ? 2 : 0] + Self.table(arguments))
  }

  /// Declares a durable exchange of the kind `x-delayed-message` that routes as a direct one.
  func declareDelayedExchange(_ name: String) {
    let arguments = Self.text("x-delayed-type") + Self.longText("direct")
    call(40, 10, [0, 0] + Self.text(name) + Self.text("x-delayed-message") + [2] + Self.table(arguments))
  }

  func bind(_ queue: String, to exchange: String, key: String) {
    call(50, 20, [0, 0] + Self.text(queue) + Self.text(exchange) + Self.text(key) + [0] + Self.table())
  }

  /// How many messages of a queue are ready. What was published on this connection before is there when it answers.
  func readyCount(_ queue: String) -> Int {
    let answer = call(50, 10, [0, 0] + Self.text(queue) + [1] + Self.table())
    let place = 1 + Int(answer[0])
    return answer[place..<place + 4].reduce(0) { $0 << 8 | Int($1) }
  }

  func purge(_ queue: String) { call(50, 30, [0, 0] + Self.text(queue) + [0]) }

  func selectConfirms() { call(85, 10, [0]) }

  /// Consumes a queue.
  ///
  /// - Parameter prefetch: how many deliveries there may be without acknowledgement; 0 for any number.
  func consume(_ queue: String, isAcknowledged: Bool, prefetch: UInt16 = 0) {
    call(60, 10, [0, 0, 0, 0] + Self.bytes(prefetch) + [0])
    call(60, 20, [0, 0] + Self.text(queue) + Self.text("c") + [isAcknowledged ? 0 : 2] + Self.table())
  }

  /// Ends what `consume` began.
  func cancel() { call(60, 30, Self.text("c") + [0]) }

  // MARK: Arguments of queues

  /// What ends goes to the queue `queue`.
  static func deadLetters(to queue: String) -> [UInt8] {
    text("x-dead-letter-exchange") + longText("") + text("x-dead-letter-routing-key") + longText(queue)
  }

  /// Whatever comes ends after so long.
  static func timeToLive(ms: Int32) -> [UInt8] {
    text("x-message-ttl") + [UInt8(ascii: "I")] + bytes(ms)
  }

  // MARK: Deliveries

  /// Takes the deliveries that were received; `use` gets each body. Gives how many there were.
  @discardableResult func takeDeliveries(_ use: (UnsafeRawBufferPointer) -> Void) -> Int {
    var count = 0
    takeFrames { kind, payload in
      if kind == 3 {
        count += 1
        use(payload)
      } else if kind == 1, Self.short(payload, 0) == 60, Self.short(payload, 2) == 60 {
        // The delivery tag lies behind the consumer tag `c`.
        lastDelivered = Self.long(payload, 6)
      }
    }
    return count
  }

  /// Acknowledges all that was taken, at once.
  func acknowledge() {
    guard lastDelivered > lastAcknowledged else { return }
    lastAcknowledged = lastDelivered
    sendWithoutAnswer(60, 80, Self.bytes(lastDelivered) + [1])
  }
}
