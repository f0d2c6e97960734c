// swift-tools-version: 6.2
import PackageDescription

// Warnings are errors, and there are no dependencies: the toolchain and the kernel are what we stand on.
let settings: [SwiftSetting] = [.treatAllWarnings(as: .error)]

func library(_ name: String, _ dependencies: [Target.Dependency] = [], resources: [Resource] = []) -> Target {
  .target(name: name, dependencies: dependencies, resources: resources, swiftSettings: settings)
}

func program(_ name: String, _ dependencies: [Target.Dependency], path: String? = nil) -> Target {
  .executableTarget(name: name, dependencies: dependencies, path: path, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(name: name, dependencies: dependencies, path: "Tests/\(name)", swiftSettings: settings)
}

let package = Package(
  name: "escapement",
  products: [
    .executable(name: "escapement", targets: ["escapement"]),
    .library(name: "EscapementClient", targets: ["EscapementClient"]),
    .library(name: "TimingWheel", targets: ["TimingWheel"]),
  ],
  targets: [
    .systemLibrary(name: "CLinux"),
    library("Primitives", ["CLinux"]),
    library("Platform", ["Primitives", "CLinux"]),
    library("TimingWheel", ["CLinux"]),
    library("Access", ["Primitives"]),
    library("LineProtocol", ["Primitives"]),
    library("AMQPProtocol", ["Primitives"]),
    library("Logs", ["Primitives", "LineProtocol"]),
    library("HTTPProtocol", ["Primitives"]),
    library("TLS"),
    library("ReplicatedStream"),
    library("NATS", ["Primitives", "Platform", "TLS", "LineProtocol"]),
    library("JetStream", ["Primitives", "LineProtocol", "NATS", "ReplicatedStream"]),
    library("DecisionLog", ["Primitives"]),
    library("Journal", ["Primitives", "DecisionLog"]),
    library("DataFiles", ["Primitives"]),
    library("TopicLog", ["Primitives", "DataFiles"]),
    library("DelayStore", ["Primitives", "DataFiles", "TimingWheel"]),
    library("Broker", ["Primitives", "DataFiles", "DecisionLog", "DelayStore", "TimingWheel", "TopicLog"]),
    library("Engine", ["Primitives", "DataFiles", "DecisionLog", "Broker", "DelayStore", "TopicLog"]),
    library("Cluster", ["Primitives", "DataFiles", "DecisionLog", "Engine", "ReplicatedStream"]),
    library(
      "Node",
      [
        "Primitives", "Platform", "Access", "Logs", "LineProtocol", "AMQPProtocol", "HTTPProtocol", "RemotingProtocol",
        "TLS", "DataFiles", "DecisionLog", "Broker", "Engine",
        "ReplicatedStream", "NATS", "JetStream", "Cluster", "Server",
      ]),
    library("RemotingProtocol", ["Primitives", "LineProtocol"]),
    library("RocketMQFrontEnd", ["Primitives", "Broker", "LineProtocol", "RemotingProtocol", "TopicLog"]),
    library("RabbitMQFrontEnd", ["Primitives", "Broker", "LineProtocol", "AMQPProtocol"]),
    library(
      "Server",
      [
        "Primitives", "Platform", "DataFiles", "DecisionLog", "Journal", "Broker", "Engine", "LineProtocol",
        "TimingWheel", "TopicLog", "RocketMQFrontEnd", "RabbitMQFrontEnd", "AMQPProtocol", "RemotingProtocol", "Access",
        "HTTPProtocol", "Logs", "TLS",
      ],
      // The page for people. In the code, so that the program is one file.
      resources: [
        "page.html", "page.css", "server.js", "wheels.js", "charts.js", "tables.js", "shards.js", "messages.js",
        "main.js",
      ].map { .embedInCode("Page/\($0)") }),
    library("EscapementClient", ["TLS"]),
    program(
      "escapement",
      [
        "Access", "EscapementClient", "Server", "Engine", "Broker", "Cluster", "DataFiles", "DecisionLog", "Journal",
        "LineProtocol", "Logs", "NATS", "Node", "Platform", "Primitives", "RocketMQFrontEnd", "RabbitMQFrontEnd", "TLS",
      ]),
    program("OrderTimeouts", ["EscapementClient"], path: "Examples/OrderTimeouts"),
    program("AutomaticReviews", ["EscapementClient"], path: "Examples/AutomaticReviews"),
    program(
      "bench",
      [
        "Server", "Engine", "Broker", "DecisionLog", "Journal", "TimingWheel", "LineProtocol", "RemotingProtocol",
        "Platform", "Primitives", "CLinux", "SeededRandom",
      ],
      path: "Benchmarks/bench"),

    // What Tests/Interop drives against real NATS servers.
    program(
      "StreamShell", ["CommandLines", "JetStream", "NATS", "Platform", "Primitives", "ReplicatedStream", "TLS"],
      path: "Tests/StreamShell"),
    program(
      "ShardShell",
      [
        "Broker", "Cluster", "CommandLines", "DataFiles", "Engine", "JetStream", "NATS", "Platform", "Primitives",
        "SimulatedDisk",
      ],
      path: "Tests/ShardShell"),
    .target(name: "CommandLines", path: "Tests/CommandLines", swiftSettings: settings),
    .target(name: "TestSeeds", path: "Tests/TestSeeds", swiftSettings: settings),
    .target(name: "SeededRandom", path: "Tests/SeededRandom", swiftSettings: settings),
    .target(
      name: "SimulatedDisk", dependencies: ["Primitives", "DataFiles", "SeededRandom"], path: "Tests/SimulatedDisk",
      swiftSettings: settings),
    .target(
      name: "SimulatedLog", dependencies: ["Primitives", "DecisionLog"], path: "Tests/SimulatedLog",
      swiftSettings: settings),
    .target(
      name: "SimulatedStream", dependencies: ["ReplicatedStream", "SeededRandom"], path: "Tests/SimulatedStream",
      swiftSettings: settings),
    tests("BenchTests", ["bench", "SeededRandom"]),
    tests("PrimitivesTests", ["Primitives"]),
    tests("AccessTests", ["Access", "Primitives", "SeededRandom"]),
    tests("HTTPProtocolTests", ["HTTPProtocol", "Primitives", "SeededRandom"]),
    tests("TLSTests", ["TLS"]),
    tests("LogsTests", ["Logs", "LineProtocol", "Primitives", "SeededRandom"]),
    tests("PlatformTests", ["Platform", "Primitives"]),
    tests("TimingWheelTests", ["TimingWheel", "SeededRandom"]),
    tests(
      "DecisionLogTests",
      [
        "Cluster", "DecisionLog", "Journal", "ReplicatedStream", "SimulatedLog", "SimulatedDisk", "SimulatedStream",
        "Primitives",
      ]),
    tests("NodeTests", ["Node", "Platform", "Primitives", "SeededRandom"]),
    tests(
      "ClusterTests",
      ["Cluster", "ReplicatedStream", "DecisionLog", "Primitives", "SeededRandom", "TestSeeds"]),
    // Nodes, clients and faults over a simulated stream.
    tests(
      "ClusterSimulation",
      [
        "Cluster", "Engine", "Broker", "DataFiles", "DecisionLog", "Primitives", "ReplicatedStream", "SeededRandom",
        "SimulatedDisk", "SimulatedStream", "TestSeeds",
      ]),
    tests("NATSTests", ["NATS", "Platform", "Primitives", "SeededRandom", "TLS"]),
    tests(
      "JetStreamTests",
      ["JetStream", "LineProtocol", "NATS", "Platform", "Primitives", "ReplicatedStream", "SeededRandom"]),
    tests("JournalTests", ["Journal", "DecisionLog", "Platform", "SimulatedDisk", "Primitives", "TestSeeds"]),
    tests("LineProtocolTests", ["LineProtocol", "Primitives", "SeededRandom"]),
    tests("AMQPProtocolTests", ["AMQPProtocol", "Primitives", "SeededRandom"]),
    tests(
      "RabbitMQFrontEndTests",
      [
        "RabbitMQFrontEnd", "Broker", "DataFiles", "DecisionLog", "AMQPProtocol", "LineProtocol", "Primitives",
        "SeededRandom", "SimulatedDisk",
      ]),
    tests("ServerTests", ["Server", "AMQPProtocol", "DataFiles", "Platform", "Primitives", "SeededRandom"]),
    .testTarget(
      name: "RemotingProtocolTests", dependencies: ["RemotingProtocol", "LineProtocol", "Primitives", "SeededRandom"],
      path: "Tests/RemotingProtocolTests", exclude: ["Fixtures"], swiftSettings: settings),
    tests("RocketMQFrontEndTests", ["RocketMQFrontEnd", "LineProtocol", "Broker", "Primitives"]),
    tests("EscapementClientTests", ["EscapementClient"]),
    tests("ProgramTests", ["escapement"]),
    tests("DataFilesTests", ["DataFiles", "SimulatedDisk", "Primitives"]),
    tests("DelayStoreTests", ["DelayStore", "DataFiles", "SimulatedDisk", "Primitives"]),
    tests("TopicLogTests", ["TopicLog", "DataFiles", "SimulatedDisk", "Primitives"]),
    tests(
      "BrokerTests",
      ["Broker", "DataFiles", "DelayStore", "DecisionLog", "SimulatedDisk", "Primitives", "SeededRandom"]),
    .testTarget(
      name: "SimulationTests",
      dependencies: [
        "Engine", "Broker", "DecisionLog", "Journal", "DataFiles", "DelayStore", "Primitives", "LineProtocol",
        "RabbitMQFrontEnd", "RocketMQFrontEnd", "SimulatedDisk", "SimulatedLog", "TestSeeds",
      ],
      path: "Tests/Simulation", exclude: ["Fixtures"], swiftSettings: settings),
    tests(
      "ServerSimulation",
      [
        "Server", "AMQPProtocol", "Engine", "Broker", "DecisionLog", "Journal", "DataFiles", "Platform", "Primitives",
        "SimulatedDisk", "SeededRandom", "RemotingProtocol", "Access",
      ]),
    // Holds the pages and the manifest against the sources.
    tests(
      "DocumentationTests",
      [
        "escapement", "Server", "Engine", "Broker", "RabbitMQFrontEnd", "RocketMQFrontEnd", "LineProtocol", "Journal",
        "DecisionLog", "AMQPProtocol",
        "DelayStore", "Node", "TimingWheel", "Primitives",
      ]),
    // Drives the built programs with the client; finds them beside the test bundle.
    tests("ClientServerTests", ["escapement", "EscapementClient", "OrderTimeouts", "AutomaticReviews"]),
    // Runs the Python cases of Tests/EndToEnd against the built program; finds it beside the test bundle.
    tests("EndToEndTests", ["escapement"]),
  ],
  swiftLanguageModes: [.v6]
)
