// swift-tools-version: 6.2
import PackageDescription

/// Every Swift target is built the same way; the C targets bring their own flags.
let swiftSettings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

func library(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: swiftSettings)
}

func tests(
  _ name: String, _ dependencies: [Target.Dependency], exclude: [String] = ["Fixtures"],
  swiftSettings settings: [SwiftSetting] = []
) -> Target {
  .testTarget(
    name: name, dependencies: dependencies, exclude: exclude,
    swiftSettings: swiftSettings + settings)
}

let package = Package(
  name: "vitprobe",
  products: [
    .library(name: "VitProbe", targets: ["VitProbe"]),
    .library(name: "Tensors", targets: ["Tensors"]),
    .library(name: "StrictJSON", targets: ["StrictJSON"]),
    .library(name: "Checkpoints", targets: ["Checkpoints"]),
    .library(name: "Images", targets: ["Images"]),
    .library(name: "Models", targets: ["Models"]),
    .library(name: "Diagnostics", targets: ["Diagnostics"]),
    .library(name: "Reports", targets: ["Reports"]),
    .executable(name: "vitprobe", targets: ["CommandLineTool"]),
  ],
  traits: [
    .trait(
      name: "MPI",
      description: "vitprobe hessian --scope dataset over the processes of mpirun (Open MPI).")
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
  ],
  targets: [
    // System libraries
    .systemLibrary(name: "CFFTW", pkgConfig: "fftw3f", providers: [.apt(["libfftw3-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    // With the trait MPI alone
    .systemLibrary(
      name: "COpenMPI", pkgConfig: "ompi-c", providers: [.apt(["libopenmpi-dev"])]),

    // C
    .target(
      name: "CKernels",
      // No vectors of unlike terms: the last values of a row would be rounded otherwise than those before.
      cSettings: [
        .unsafeFlags(["-O3", "-fno-math-errno", "-ffp-contract=off", "-fno-slp-vectorize"])
      ],
      linkerSettings: [.linkedLibrary("m")]),
    .target(
      name: "CImageCodecs",
      cSettings: [.unsafeFlags(["-O2"])],
      linkerSettings: ["png", "jpeg", "tiff", "webpdemux", "webp", "z", "m"].map {
        .linkedLibrary($0)
      }),

    // Libraries, from the ground up
    library("DurableFiles", []),
    library("SharedLibraries", []),
    library("StrictJSON", []),
    library("Tensors", ["CKernels", "SharedLibraries"]),
    library("Checkpoints", ["DurableFiles", "StrictJSON", "CZlib", "CKernels"]),
    library("Images", ["CImageCodecs", "CZlib", "DurableFiles"]),
    library("Models", ["Tensors", "Checkpoints", "StrictJSON"]),
    library("Reports", ["DurableFiles", "SharedLibraries", "StrictJSON", "CCrypto"]),
    .target(
      name: "Pages", dependencies: ["Diagnostics", "Reports", "StrictJSON"],
      resources: [.embedInCode("Assets/report.js"), .embedInCode("Assets/report.css")],
      swiftSettings: swiftSettings),
    library(
      "Diagnostics",
      ["Tensors", "Reports", "StrictJSON", "CKernels", "CImageCodecs", "CFFTW"]),
    library(
      "VitProbe",
      [
        "Tensors", "Checkpoints", "Images", "Models", "Diagnostics", "Reports", "DurableFiles",
        "SharedLibraries", "StrictJSON",
      ]),

    // The command
    .executableTarget(
      name: "CommandLineTool",
      dependencies: [
        "VitProbe", "Checkpoints", "Diagnostics", "DurableFiles", "Images", "Models", "Pages",
        "Reports", "StrictJSON", "Tensors",
        .target(name: "COpenMPI", condition: .when(traits: ["MPI"])),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: swiftSettings),

    // The benchmarks' own half of each pair
    .executableTarget(
      name: "BenchmarkDriver", dependencies: ["Tensors", "Checkpoints", "Models", "Diagnostics"],
      path: "Benchmarks/Driver", swiftSettings: swiftSettings),

    // Tests
    .target(
      name: "TestSupport", dependencies: ["DurableFiles"], path: "Tests/TestSupport",
      swiftSettings: swiftSettings),
    tests("DurableFilesTests", ["DurableFiles", "TestSupport"], exclude: []),
    tests("SharedLibrariesTests", ["SharedLibraries"], exclude: []),
    tests("StrictJSONTests", ["StrictJSON"], exclude: []),
    // Plain sums are what operations are compared with, at many places: optimised, they take a fortieth of the time.
    tests(
      "TensorsTests", ["Tensors"],
      swiftSettings: [.unsafeFlags(["-O"], .when(configuration: .debug))]),
    tests("CheckpointsTests", ["Checkpoints", "StrictJSON", "TestSupport"]),
    tests("ImagesTests", ["Images"]),
    tests(
      "ModelsTests",
      ["Models", "Diagnostics", "Tensors", "Checkpoints", "StrictJSON", "TestSupport"]),
    tests("DiagnosticsTests", ["Diagnostics", "Tensors", "Reports"]),
    tests("ReportsTests", ["Reports", "DurableFiles", "StrictJSON", "TestSupport"]),
    tests(
      "PagesTests", ["Diagnostics", "Pages", "Reports", "StrictJSON", "TestSupport"], exclude: []),
    tests(
      "VitProbeTests",
      [
        "VitProbe", "Checkpoints", "Images", "Models", "Diagnostics", "Reports", "StrictJSON",
        "Tensors", "TestSupport",
      ]),
    tests(
      "CommandLineToolTests",
      [
        "CommandLineTool", "Checkpoints", "Diagnostics", "Pages", "Reports", "StrictJSON",
        "TestSupport",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
  ]
)
