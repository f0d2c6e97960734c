// One line: read, looked up in the operation table, done, answered.

import Broker
import LineProtocol
import Platform
import Primitives

/// Why an operation did not answer.
enum RequestStop: Error {
  case refused(Refusal)
  case waitForDisk

  init(_ stop: BrokerStop) {
    switch stop {
    case .refused(let refusal): self = .refused(Refusal(refusal))
    case .waitForDisk: self = .waitForDisk
    }
  }
}

extension Refusal {
  init(_ refusal: BrokerRefusal) {
    let code: WireError =
      switch refusal.code {
      case .badRequest: .badRequest
      case .notFound: .notFound
      case .exists: .exists
      case .delayOutOfRange: .delayOutOfRange
      case .bodyTooLarge: .bodyTooLarge
      case .limitExceeded: .limitExceeded
      case .diskFull: .diskFull
      case .storageFailed: .storageFailed
      case .badState: .badState
      }
    self.init(code: code, message: refusal.message)
  }
}

extension Server {
  func perform(_ line: UnsafeRawBufferPointer, _ connection: Connection) {
    counters.requests += 1
    do throws(Refusal) { try reader.parse(line) } catch { return refuseAndClose(connection, error) }
    touch(connection)
    let lengthBefore = connection.out.count
    do throws(RequestStop) {
      try performParsed(connection)
      if !connection.isBlocked { broker.forgetColdReads(connection.key) }
    } catch {
      connection.out.truncate(to: lengthBefore)
      switch error {
      case .waitForDisk:
        connection.blocked = Array(line)
        updateInterest(connection)
      case .refused(let refusal):
        counters.refusals += 1
        broker.forgetColdReads(connection.key)
        connection.out.appendRefusal(refusal, rid: (try? reader.rid()) ?? nil)
      }
    }
  }

  private func performParsed(_ connection: Connection) throws(RequestStop) {
    let request = Request(reader: reader, connection: connection)
    try request.check { () throws(Refusal) in _ = try reader.rid() }
    guard let name = try request.string(.op) else { throw .refused(.missing(.op)) }
    let operation = OperationTable.find(name)
    // Before anything else is told: even which operations there are.
    if operation?.needsToken != false, !connection.isAuthenticated {
      throw .refused(Refusal(code: .unauthenticated, message: "say 'hello' with a good 'token' first"))
    }
    guard let operation else {
      let text = String(decoding: name.prefix(64), as: UTF8.self)
      throw .refused(Refusal(code: .unknownOp, message: "there is no operation '\(text)'"))
    }
    try request.check { () throws(Refusal) in
      try reader.requireOnly(operation.fields, operation: operation.name)
    }
    try operation.perform(self, request)
  }

  /// Holds what was just written for a connection until its gate is settled, and asks for a sync if it is not.
  func hold(_ connection: Connection, until gate: Gate) {
    connection.turnGate = max(connection.turnGate, gate)
    if gate.sequence > engine.commit.settledSequence { turnMustSync = true }
  }
}
