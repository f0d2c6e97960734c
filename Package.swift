// swift-tools-version: 6.2
import PackageDescription

// Warnings are errors, and there are no dependencies: the toolchain and the kernel are what we stand on.
let settings: [SwiftSetting] = [.treatAllWarnings(as: .error)]

func library(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: settings)
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
    library("Foundations", ["CLinux"]),
    library("Platform", ["Foundations", "CLinux"]),
    library("TimingWheel", ["CLinux"]),
    library("LineProtocol", ["Foundations"]),
    library("Journal", ["Foundations"]),
    library("DataFiles", ["Foundations"]),
    library("TopicLog", ["Foundations", "DataFiles"]),
    library("DelayStore", ["Foundations", "DataFiles"]),
    library("Broker", ["Foundations", "DataFiles", "DelayStore", "Journal", "TimingWheel", "TopicLog"]),
    library("Engine", ["Foundations", "DataFiles", "Journal", "Broker", "DelayStore", "TopicLog"]),
    library("RocketMQFrontEnd", ["Foundations", "Broker", "LineProtocol"]),
    library("RabbitMQFrontEnd", ["Foundations", "Broker", "LineProtocol"]),
    library(
      "Server",
      [
        "Foundations", "Platform", "DataFiles", "Journal", "Broker", "Engine", "LineProtocol", "TimingWheel",
        "RocketMQFrontEnd", "RabbitMQFrontEnd",
      ]),
    library("EscapementClient"),
    program(
      "escapement",
      [
        "EscapementClient", "Server", "Engine", "Broker", "Journal", "Platform", "Foundations", "RocketMQFrontEnd",
        "RabbitMQFrontEnd",
      ]),
    program("OrderTimeouts", ["EscapementClient"], path: "Examples/OrderTimeouts"),
    program("AutomaticReviews", ["EscapementClient"], path: "Examples/AutomaticReviews"),
    program(
      "bench", ["TimingWheel", "LineProtocol", "Foundations", "Platform", "CLinux", "SeededRandom"],
      path: "Benchmarks/bench"),

    .target(name: "SeededRandom", path: "Tests/SeededRandom", swiftSettings: settings),
    .target(
      name: "SimulatedDisk", dependencies: ["Foundations", "DataFiles", "SeededRandom"], path: "Tests/SimulatedDisk",
      swiftSettings: settings),
    tests("FoundationsTests", ["Foundations"]),
    tests("PlatformTests", ["Platform", "Foundations"]),
    tests("TimingWheelTests", ["TimingWheel", "SeededRandom"]),
    tests("JournalTests", ["Journal", "Platform", "SimulatedDisk", "Foundations"]),
    tests("LineProtocolTests", ["LineProtocol", "Foundations", "SeededRandom"]),
    tests("RabbitMQFrontEndTests", ["RabbitMQFrontEnd", "LineProtocol", "SeededRandom"]),
    tests("RocketMQFrontEndTests", ["RocketMQFrontEnd", "LineProtocol", "Broker", "Foundations"]),
    tests("EscapementClientTests", ["EscapementClient"]),
    tests("ProgramTests", ["escapement"]),
    tests("DelayStoreTests", ["DelayStore", "DataFiles", "SimulatedDisk", "Foundations"]),
    tests("TopicLogTests", ["TopicLog", "DataFiles", "SimulatedDisk", "Foundations"]),
    tests("BrokerTests", ["Broker", "DataFiles", "SimulatedDisk", "Foundations", "SeededRandom"]),
    .testTarget(
      name: "SimulationTests",
      dependencies: [
        "Engine", "Broker", "Journal", "DataFiles", "Foundations", "LineProtocol", "RabbitMQFrontEnd", "SimulatedDisk",
      ],
      path: "Tests/Simulation", exclude: ["Fixtures"], swiftSettings: settings),
    // Drives the built programs with the client; finds them beside the test bundle.
    tests("ClientServerTests", ["escapement", "EscapementClient", "OrderTimeouts", "AutomaticReviews"]),
    // Runs the Python cases of Tests/EndToEnd against the built program; finds it beside the test bundle.
    tests("EndToEndTests", ["escapement"]),
  ],
  swiftLanguageModes: [.v6]
)
