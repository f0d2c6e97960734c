// swift-tools-version: 6.2
import PackageDescription

// Warnings are errors, and there are no dependencies: the toolchain and the kernel are what we stand on.
let settings: [SwiftSetting] = [.treatAllWarnings(as: .error)]

func library(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(name: name, dependencies: dependencies, path: "Tests/\(name)", swiftSettings: settings)
}

let package = Package(
  name: "escapement",
  targets: [
    .systemLibrary(name: "CLinux"),
    library("Foundations", ["CLinux"]),
    library("DataFiles", ["Foundations"]),
    library("TopicLog", ["Foundations", "DataFiles"]),
    library("DelayStore", ["Foundations", "DataFiles"]),
  ],
  swiftLanguageModes: [.v6]
)
