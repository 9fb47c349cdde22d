// swift-tools-version: 6.2
import PackageDescription

// The benchmark's own half of each pair. A package of its own, so that nobody who only uses the
// tool builds it.
let package = Package(
  name: "Benchmarks",
  dependencies: [.package(name: "vitprobe", path: "..")],
  targets: [
    .executableTarget(
      name: "driver",
      dependencies: ["Tensors", "Checkpoints", "Models", "Diagnostics"].map {
        .product(name: $0, package: "vitprobe")
      },
      path: "Driver",
      swiftSettings: [
        .swiftLanguageMode(.v6),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
      ])
  ]
)
