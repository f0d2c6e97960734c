// One line: read, looked up in the operation table, done, answered.

import Broker
import LineProtocol
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
      case .busy: .busy
      case .diskFull: .diskFull
      case .storageFailed: .storageFailed
      case .badState: .badState
      }
    self.init(code: code, message: refusal.message)
  }
}

extension LineSession {
  func perform(_ line: UnsafeRawBufferPointer) {
    services.counters.requests += 1
    do throws(Refusal) { try reader.parse(line) } catch { return refuseAndClose(error) }
    let mark = output.mark
    do throws(RequestStop) {
      try performParsed()
      if !isWaiting { broker.forgetColdReads(key) }
    } catch {
      output.takeBack(to: mark)
      switch error {
      case .waitForDisk: blocked = Array(line)
      case .refused(let refusal):
        services.counters.refusals += 1
        broker.forgetColdReads(key)
        writeRefusal(refusal, rid: (try? reader.rid()) ?? nil)
      }
    }
  }

  private func performParsed() throws(RequestStop) {
    let request = Request(reader: reader)
    try request.check { () throws(Refusal) in _ = try reader.rid() }
    guard let name = try request.string(.op) else { throw .refused(.missing(.op)) }
    let operation = OperationTable.find(name)
    // Before anything else is told: even which operations there are.
    if identity == nil, operation?.pointee.permission.isForAnybody != true {
      throw .refused(Refusal(code: .unauthenticated, message: "say 'hello' with a good 'token' first"))
    }
    guard let operation else {
      let text = String(decoding: name.prefix(64), as: UTF8.self)
      throw .refused(Refusal(code: .unknownOp, message: "there is no operation '\(text)'"))
    }
    try request.check { () throws(Refusal) in
      let fields = operation.pointee.fields
      // Whoever has brought the line here has looked at the shard.
      try reader.requireOnly(settings.shard == nil ? fields : fields.union([.shard]), operation: operation.pointee.name)
    }
    try check(operation.pointee.permission, request)
    if operation.pointee.pushes, !canPush {
      let needed = "needs a connection on which the server can send messages; by HTTP, use 'fetch'"
      throw .refused(.badRequest("'\(operation.pointee.name)' \(needed)"))
    }
    try operation.pointee.perform(self, request)
    if !operation.pointee.isOvertaken { output.closeToOvertaking() }
  }

  /// Holds what was just written until its gate opens.
  @inline(__always) func hold(until gate: Gate) { output.hold(until: gate) }
}
