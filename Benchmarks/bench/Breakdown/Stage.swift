// What a function of the server works for, by the beginning of its name: the table that turns samples into stages.
//
// Holds: the first stage that knows a function has it; what none knows is `other`, and the report says how much that is.

/// One of the things that a message costs.
struct Stage {
  let name: String
  /// Pieces of names as the linker knows them: `$s` or nothing, then lengths and names of module, type and function.
  let symbols: [String]

  /// The stages of the loop's thread outside of the kernel, in the order in which they are asked.
  static let ofLoop = [
    Stage(name: "frame", symbols: ["12LineProtocol0A6Framer", "memchr"]),
    Stage(
      name: "index",
      symbols: ["12PendingIndex", "SipHash", "6Broker7PendingC4hash", "6IDHash", "14RecentOutcomes", "8prefetch"]),
    Stage(
      name: "reply",
      symbols: [
        "10ByteBufferV12LineProtocolE", "11GeneratedIDV", "11EventWriter", "6Server6Output", "ByteBufferV6append",
        "8register", "5flush", "7deliver", "ReplyToken",
      ]),
    Stage(name: "parse", symbols: ["$s12LineProtocol", "6Server7Request", "AA7Request", "14OperationTable"]),
    Stage(
      name: "record", symbols: ["$s11DecisionLog", "13RecordBuffer", "crc32c", "12MessageRecord", "12MessageParts"]),
    Stage(name: "slice or wheel", symbols: ["$s10DelayStore", "$s11TimingWheel", "12NearMessages", "5Slice"]),
    Stage(name: "topic log", symbols: ["$s8TopicLog", "$s9DataFiles"]),
    Stage(name: "groups", symbols: ["6Broker6Group", "6Broker8Consumer", "Outstanding", "8Delivery", "11acknowledge"]),
    Stage(name: "decide", symbols: ["$s6Broker", "$s6Engine", "$s10Primitives"]),
    Stage(name: "read and turn", symbols: ["$s6Server", "$s8Platform", "recv", "send", "epoll", "syscall"]),
    Stage(name: "retain and release", symbols: ["swift_retain", "swift_release", "swift_bridgeObject"]),
    Stage(name: "exclusivity", symbols: ["swift_beginAccess", "swift_endAccess", "AccessSet"]),
    Stage(name: "memory", symbols: ["malloc", "free", "mem", "alloc", "chunk"]),
    Stage(name: "language", symbols: ["swift", "$s", "tls"]),
  ]

  private static let other = "other"

  /// Where a sample belongs.
  static func name(of place: PerfSamples.Place) -> String {
    if place.thread.hasSuffix("-log") { return place.isKernel ? "journal thread, kernel" : "journal thread" }
    if place.thread.contains("-writ") || place.thread.contains("-read") { return "I/O threads" }
    if place.isKernel { return "kernel, for the loop" }
    return ofLoop.first { stage in stage.symbols.contains { place.symbol.contains($0) } }?.name ?? other
  }

  /// In the order of a message's way.
  static let order =
    ["read and turn", "frame", "parse", "decide", "index", "record", "slice or wheel", "topic log", "groups", "reply"]
    + ["retain and release", "exclusivity", "memory", "language", other]
    + ["kernel, for the loop", "journal thread", "journal thread, kernel", "I/O threads"]
}
