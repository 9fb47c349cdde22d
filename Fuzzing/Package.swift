// swift-tools-version: 6.2
import PackageDescription

// Coverage-guided fuzzing of everything that reads a file or a text of somebody else's. A package of
// its own, so that nobody who only uses the tool builds it; `run.sh` builds and runs it.
let package = Package(
  name: "Fuzzing",
  dependencies: [.package(name: "vitprobe", path: "..")],
  targets: [
    .target(name: "CFuzzer"),
    .executableTarget(
      name: "fuzz",
      dependencies: [
        "CFuzzer", .product(name: "VitProbe", package: "vitprobe"),
        .product(name: "Checkpoints", package: "vitprobe"),
        .product(name: "Images", package: "vitprobe"),
        .product(name: "Models", package: "vitprobe"),
        .product(name: "StrictJSON", package: "vitprobe"),
        .product(name: "Tensors", package: "vitprobe"),
      ],
      path: "Sources/Fuzz",
      swiftSettings: [
        .swiftLanguageMode(.v6),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
      ],
      // The library of the toolchain that mutates inputs; the modules are instrumented by run.sh.
      linkerSettings: [.unsafeFlags(["-sanitize=fuzzer", "-use-ld=lld"])]),
  ]
)
