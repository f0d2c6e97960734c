// Requests to a cluster: sent to who leads, and again until somebody has answered.
//
// Holds: a request is sent again when it has surely taken no effect, or when sending it twice does what sending it once does.

import Dispatch

extension Cluster {
  /// Sends a request to whom it is for and waits for the reply.
  ///
  /// - Throws: `timeout` when it may have taken effect, `connectionLost` when it has not, each at the deadline; what the
  ///   leader refuses.
  func request(
    _ line: RequestLine, isRepeatable: Bool, deadlineNs: UInt64, subscription: SubscriptionState? = nil
  ) async throws -> Reply {
    sendOutbox()
    var search = Search()
    while true {
      let address = node(for: line.place, failures: search.failures)
      let pauseMs: Int64
      do {
        let connection = try await connection(to: address)
        var reply = try await connection.request(
          line, isRepeatable: isRepeatable, deadlineNs: deadlineNs, subscription: subscription)
        learn(line.place, at: address)
        reply.wasRepeated = reply.wasRepeated || search.mayHaveTakenEffect
        return reply
      } catch let news as NotLeader {
        if case .node = line.place { throw EscapementError.refused(code: .notLeader, message: news.description) }
        learn(news, about: line.place)
        pauseMs = search.pauseMs(after: news.description, isRedirected: news.address != nil)
      } catch let loss as RequestLost {
        if case .node = line.place { throw EscapementError.connectionLost(reason: loss.reason) }
        // Looking for a leader is not coming back after a loss.
        if configuration.reconnect == nil, loss.mayHaveTakenEffect {
          throw EscapementError.connectionLost(
            reason: "\(loss.reason); whether '\(line.op)' has taken effect is unknown")
        }
        pauseMs = search.pauseMs(
          after: loss.reason, isRedirected: false, mayHaveTakenEffect: loss.mayHaveTakenEffect)
      } catch EscapementError.closed where state.withLock({ !$0.isClosed }) {
        // The connection ended between being found and being used.
        pauseMs = search.pauseMs(after: "\(address): lost", isRedirected: false)
      } catch EscapementError.refused(.shuttingDown, let message) where isRepeatable {
        pauseMs = search.pauseMs(after: "\(address): \(message)", isRedirected: false, mayHaveTakenEffect: true)
      }
      try await pause(pauseMs, before: deadlineNs, line, search)
    }
  }

  private func pause(_ pauseMs: Int64, before deadlineNs: UInt64, _ line: RequestLine, _ search: Search) async throws {
    let nowNs = DispatchTime.now().uptimeNanoseconds
    guard nowNs < deadlineNs, UInt64(pauseMs) < (deadlineNs - nowNs) / 1_000_000 else {
      if search.mayHaveTakenEffect { throw EscapementError.timeout(op: line.op) }
      throw EscapementError.connectionLost(reason: "'\(line.op)' was not sent to a leader in time; \(search.reason)")
    }
    if pauseMs > 0 { try await Task.sleep(for: .milliseconds(pauseMs)) }
  }

  /// Sends a request that asked for no reply to the leader of its topic, once that is known.
  ///
  /// The first one for a topic asks for a reply, which tells who leads.
  func send(unanswered line: RequestLine, _ answered: RequestLine, deadlineNs: UInt64) async throws {
    sendOutbox()
    let leader = state.withLock { state in state.leaders[line.place].flatMap { state.open[$0] } }
    if let leader {
      do { return try await leader.send(unanswered: line) } catch EscapementError.connectionLost {
      } catch EscapementError.closed {}
    }
    _ = try await request(answered, isRepeatable: false, deadlineNs: deadlineNs)
  }
}

extension NotLeader: CustomStringConvertible {
  var description: String {
    address.map { "\($0) leads shard \(shard)" } ?? "nobody is known to lead shard \(shard)"
  }
}
