// What a server costs that has much to remember and nothing to do: `bench idle`, `bench memory`, `bench connections`.

import CLinux
import Glibc
import LineProtocol
import Platform

enum RestingBenchmarks {
  // MARK: idle

  private static let idleHelp = """
    bench idle [flags]

      --messages N     messages pending far ahead (1000000)
      --seconds N      how long to watch (10)
      --body-bytes N   size of a body (128)
    \(Flags.serverHelp)
    """

  static func idle(arguments: [String]) {
    let flags = Flags(
      arguments, defaults: Flags.serverDefaults(["messages": "1000000", "seconds": "10", "body-bytes": "128"]),
      help: idleHelp)
    sayExpected(seconds: flags.number("messages") / Load.usualMessagesPerSecond + 4 + flags.number("seconds"))
    let server = ServerProcess(flags)
    defer { server.stop() }
    let connection = LineConnection(server)
    let emptyBytes = server.residentBytes
    loadFar(connection, flags)
    // Writing behind goes on for a moment after the last reply.
    sleep(3)
    watch(server, connection, seconds: flags.number("seconds"))
    reportMemory(server, emptyBytes, flags.number("messages"))
  }

  private static func loadFar(_ connection: LineConnection, _ flags: Flags) {
    let text = RequestText(topic: "far", bodyBytes: flags.number("body-bytes"))
    let count = flags.number("messages")
    let farMs = SystemClock.wallNs() / 1_000_000 + 3_600_000
    let startNs = SystemClock.bootNs()
    Load.unanswered(connection, count) { number, acks, out in
      text.schedule(nil, atMs: farMs + Int64(number) * 86_400_000 / Int64(count), acks, to: &out)
    }
    let ns = SystemClock.bootNs() - startNs
    say("loaded \(count) in \(Figures.seconds(ns: ns)), \(Figures.rate(count, ns: ns)) a second")
  }

  private static func watch(_ server: ServerProcess, _ connection: LineConnection, seconds: Int) {
    let turns = connection.statistic("turns")
    let cpuNs = server.cpuNs
    sleep(UInt32(seconds))
    let usedNs = server.cpuNs - cpuNs
    // One turn is the question itself.
    let made = connection.statistic("turns") - turns - 1
    say(
      "idle for \(seconds) s: \(made) turns of the loop, \(Figures.ms(ns: usedNs)) of processor time, load "
        + Figures.machineLoad())
  }

  private static func reportMemory(_ server: ServerProcess, _ emptyBytes: Int, _ count: Int) {
    let bytes = server.residentBytes
    say(
      "memory: \(Figures.mebibytes(emptyBytes)) empty, \(Figures.mebibytes(bytes)) now, "
        + "\(max(0, bytes - emptyBytes) / max(1, count)) bytes a message")
  }

  // MARK: memory

  private static let memoryHelp = """
    bench memory [flags]

      --messages N     messages pending over the next day (10000000)
      --body-bytes N   size of a body (128)
    \(Flags.serverHelp)
    """

  static func memory(arguments: [String]) {
    let flags = Flags(
      arguments, defaults: Flags.serverDefaults(["messages": "10000000", "body-bytes": "128"]), help: memoryHelp)
    // Loading, and two starts that read everything.
    sayExpected(seconds: 2 * flags.number("messages") / Load.usualMessagesPerSecond + 2)
    let server = ServerProcess(flags)
    defer { server.stop() }
    let emptyBytes = server.residentBytes
    let count = flags.number("messages")
    do {
      let connection = LineConnection(server, timeoutS: 600)
      loadFar(connection, flags)
      reportMemory(server, emptyBytes, count)
    }
    restart(server, SIGKILL, "recovery after a kill", count)
    restart(server, SIGTERM, "start after a clean stop", count)
    reportMemory(server, emptyBytes, count)
  }

  private static func restart(_ server: ServerProcess, _ signal: Int32, _ name: String, _ count: Int) {
    let stopNs = SystemClock.bootNs()
    server.end(signal)
    let startNs = SystemClock.bootNs()
    server.start()
    let readyNs = SystemClock.bootNs()
    let pending = LineConnection(server).statistic("pending")
    say(
      "\(name): \(Figures.seconds(ns: readyNs - startNs)) until it listens (\(Figures.seconds(ns: startNs - stopNs)) to "
        + "end), \(pending) pending")
    if pending != count { fail("\(count) messages were accepted") }
  }

  // MARK: connections

  private static let connectionsHelp = """
    bench connections [flags]

      --connections N   connections without traffic (10000)
      --groups N        groups with a member each (1000)
      --seconds N       how long to watch (10)
    \(Flags.serverHelp)
    """

  static func connections(arguments: [String]) {
    let flags = Flags(
      arguments,
      defaults: Flags.serverDefaults(["connections": "10000", "groups": "1000", "seconds": "10"]), help: connectionsHelp
    )
    let wanted = flags.number("connections")
    sayExpected(seconds: flags.number("seconds") + wanted / 5000 + 1)
    guard clinux_raise_open_files() > wanted + 100 else { fail("this system allows too few open files") }
    let server = ServerProcess(flags)
    defer { server.stop() }
    let emptyBytes = server.residentBytes
    let asking = LineConnection(server)
    let startNs = SystemClock.bootNs()
    var descriptors: [Int32] = []
    for number in 0..<wanted { descriptors.append(connect(server, number, groups: flags.number("groups"))) }
    let ns = SystemClock.bootNs() - startNs
    say(
      "connected \(asking.statistic("connections") - 1), \(asking.statistic("groups")) groups in \(Figures.seconds(ns: ns))"
    )
    watch(server, asking, seconds: flags.number("seconds"))
    reportMemory(server, emptyBytes, wanted)
    for descriptor in descriptors { Socket.close(descriptor) }
  }

  /// A plain descriptor: a LineConnection's buffer would be 40 GiB for ten thousand.
  private static func connect(_ server: ServerProcess, _ number: Int, groups: Int) -> Int32 {
    guard let descriptor = try? Socket.connect(host: "127.0.0.1", port: server.port) else { fail("no connection") }
    guard number < groups else { return descriptor }
    let line = Array("{\"op\":\"subscribe\",\"topic\":\"t\(number % 100)\",\"group\":\"g\(number)\"}\n".utf8)
    line.withUnsafeBytes { _ = Socket.write(descriptor, $0) }
    return withUnsafeTemporaryAllocation(byteCount: 256, alignment: 8) { reply in
      guard case .bytes(let count) = Socket.read(descriptor, into: reply), count > 10,
        LineScan.isGoodReply(UnsafeRawBufferPointer(reply))
      else { fail("a subscription failed") }
      return descriptor
    }
  }
}
