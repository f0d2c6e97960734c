// `bench`: measures parts of the system. One line in `commands` adds a command.
//
// Holds: every command explains itself with `--help` and checks its own results.
// Leaves to others: what is measured and how (one file a command).

struct Command {
  let name: String
  let summary: String
  let run: ([String]) -> Void
}

let commands = [
  Command(name: "wheel", summary: "insert, cancel and expiry in the timing wheel", run: WheelBenchmark.run),
  Command(name: "json", summary: "validating and decoding request lines", run: JSONBenchmark.run),
  Command(name: "precision", summary: "how late messages reach a consumer", run: PrecisionBenchmark.run),
  Command(
    name: "throughput", summary: "messages a second: scheduled, consumed, released", run: ThroughputBenchmark.run),
  Command(name: "burst", summary: "many messages due in the same millisecond", run: BurstBenchmark.run),
  Command(name: "idle", summary: "what many pending messages cost while nothing is due", run: RestingBenchmarks.idle),
  Command(name: "memory", summary: "memory, load rate and recovery with very many", run: RestingBenchmarks.memory),
  Command(
    name: "headofline", summary: "how late RabbitMQ messages expire behind longer-lived ones",
    run: HeadOfLineBenchmark.run),
  Command(
    name: "expiry", summary: "very many RabbitMQ messages with times to live: cost, start, lateness",
    run: ExpiryBenchmark.run),
  Command(
    name: "remoting", summary: "messages a second that RocketMQ clients could send and pull", run: RemotingBenchmark.run
  ),
  Command(name: "connections", summary: "what idle connections and groups cost", run: RestingBenchmarks.connections),
]

let arguments = CommandLine.arguments.dropFirst()
if let name = arguments.first, let command = commands.first(where: { $0.name == name }) {
  command.run(Array(arguments.dropFirst()))
} else {
  print("usage: bench <command> [flags]   (bench <command> --help explains the flags)\n")
  for command in commands { print("  \(command.name)  \(command.summary)") }
}
