// Methods of the class tx.

import AMQPProtocol
import Broker
import Primitives
import RabbitMQFrontEnd

extension AMQPSession {
  func selectTransactions(_ frame: MethodFrame, _ channel: AMQPChannel) throws(AMQPFault) {
    try frame.checkNoFields()
    guard channel.confirms == nil else {
      throw AMQPFault(.preconditionFailed, "cannot switch from confirm to tx mode", method: .txSelect)
    }
    channel.operations.selectTransactions()
    out.append(.txSelectOk, channel: channel.number)
  }

  func commit(_ channel: AMQPChannel) throws(AMQPFault) {
    let before = channel.operations.heldBytes
    let commit: CommitOutcome
    do throws(AMQPError) { commit = try channel.operations.commit() } catch {
      if block(channel, .commit, error) { return }
      heldBytes += channel.operations.heldBytes - before
      throw fault(error, .txCommit)
    }
    heldBytes -= before
    for returned in commit.returned {
      guard let envelope = returned.outcome.returned else { continue }
      returned.body.withBytes { writeReturn(envelope, because: returned.outcome.returnedText, $0, channel) }
    }
    out.append(.txCommitOk, channel: channel.number)
    output.hold(until: commit.gate)
  }

  func rollBack(_ frame: MethodFrame, _ channel: AMQPChannel) throws(AMQPFault) {
    try frame.checkNoFields()
    let before = channel.operations.heldBytes
    try asking(.txRollback) { () throws(AMQPError) in try channel.operations.rollBack() }
    heldBytes -= before
    out.append(.txRollbackOk, channel: channel.number)
  }
}
