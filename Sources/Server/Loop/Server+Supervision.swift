// What the service manager is told: when the server is ready, that its loop turns, that it reads files again, that it stops.

import Platform

extension Server {
  func tellReady() {
    supervisor?.send("READY=1\nSTATUS=serving")
    tellAlive()
  }

  /// Says that the loop turns, when it is time to.
  func tellAlive() {
    guard let supervisor, let watchdogMs = supervisor.watchdogMs, nextAliveNs <= surroundings.clock.bootNs() else {
      return
    }
    supervisor.send("WATCHDOG=1")
    nextAliveNs = surroundings.clock.bootNs() + watchdogMs * 1_000_000
  }

  /// How long the loop may sleep that has nothing to do for `waitNs`; negative: for ever.
  func withAliveness(_ waitNs: Int64) -> Int64 {
    guard supervisor?.watchdogMs != nil else { return waitNs }
    let restNs = max(0, nextAliveNs - surroundings.clock.bootNs())
    return waitNs < 0 ? restNs : min(waitNs, restNs)
  }

  /// Takes what may change as it is now.
  func reload() {
    supervisor?.send("RELOADING=1\nMONOTONIC_USEC=\(ServiceNotifier.monotonicUs())\nSTATUS=reading files again")
    reloadAccess()
    reloadTLS()
    supervisor?.send("READY=1\nSTATUS=serving")
  }

  func tellStopping() { supervisor?.send("STOPPING=1\nSTATUS=writing a checkpoint") }
}
