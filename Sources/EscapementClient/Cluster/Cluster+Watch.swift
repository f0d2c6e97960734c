// Finds nodes that are silent without having closed their connections: stopped, stuck, or behind a broken network.
//
// Holds: a node that is only slow with its answers, because NATS keeps it waiting, is left in peace: answers come in the order
// of requests, so a ping may wait, too. Whether it is there, a connection of its own tells.

extension Cluster {
  // With the time for the other connection that is three to four seconds. After three, another leader may be there.
  private static let silentPingsMax = 2

  func watch() {
    Task { [weak self] in
      while true {
        guard let everyMs = self?.configuration.pingEveryMs else { return }
        do { try await Task.sleep(for: .milliseconds(everyMs)) } catch { return }
        guard let self, state.withLock({ !$0.isClosed }) else { return }
        await withTaskGroup(of: Void.self) { group in
          for connection in state.withLock({ Array($0.open.values) })
          where connection.pingAgain() > Self.silentPingsMax {
            group.addTask { await self.check(connection) }
          }
        }
      }
    }
  }

  private func check(_ connection: ServerConnection) async {
    let probe = ServerConnection(connection.address, Self.impatient(configuration.silent), AckOutbox {})
    do {
      _ = try await probe.connect()
      connection.noteSignOfLife()
    } catch {
      connection.breakOff(because: "no sign of life from \(connection.address)")
    }
    await probe.close()
  }
}

extension Configuration {
  /// Without events, and without coming back.
  fileprivate var silent: Configuration {
    var settings = self
    settings.onEvent = nil
    settings.reconnect = nil
    return settings
  }
}
