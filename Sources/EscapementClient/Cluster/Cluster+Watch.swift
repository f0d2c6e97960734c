// Finds nodes that are silent without having closed their connections: stopped, stuck, or behind a broken network.

extension Cluster {
  // Asked each second; after three seconds without a line another leader may be there.
  private static let pingEveryMs = 1_000
  private static let silentPingsMax = 3

  func watch() {
    Task { [weak self] in
      while true {
        do { try await Task.sleep(for: .milliseconds(Self.pingEveryMs)) } catch { return }
        guard let self, state.withLock({ !$0.isClosed }) else { return }
        for connection in state.withLock({ Array($0.open.values) })
        where connection.pingAgain() > Self.silentPingsMax {
          connection.breakOff(because: "no sign of life from \(connection.address) for \(Self.silentPingsMax) s")
        }
      }
    }
  }
}
