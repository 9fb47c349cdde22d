import Checkpoints
import Diagnostics
import Reports
import TestSupport
import Testing

@testable import VitProbe

/// A layer of a feature file.
struct FeatureLayer {
  var name: String
  var shape: [Int]
  var values: [Float]

  init(_ name: String, _ shape: [Int], _ values: [Float]) {
    self.name = name
    self.shape = shape
    self.values = values
  }
}

/// A safetensors file of layers, in an order that is not that of their names' bytes.
func featureFile(
  _ layers: [FeatureLayer], metadata: [String: String] = [:], in scratch: Scratch,
  as name: String = "f.safetensors"
) throws -> String {
  let path = scratch.file(name)
  var writer = try SafetensorsWriter(
    creating: path,
    tensors: layers.map { .init(name: $0.name, dtype: .float32, shape: $0.shape) },
    metadata: metadata)
  for (index, layer) in layers.enumerated() {
    try layer.values.withUnsafeBytes { try writer.append($0, to: index) }
  }
  try writer.finish()
  return path
}

/// Nearly normal values of mean 0 and deviation 1, always the same for a seed.
func noise(_ count: Int, seed: UInt64) -> [Float] {
  var state = seed &* 0x9E37_79B9_7F4A_7C15
  return (0..<count).map { _ in
    var sum: Float = 0
    for _ in 0..<12 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      sum += Float(state >> 40) / Float(1 << 24)
    }
    return sum - 6
  }
}

/// The rows of `cka.csv` by the names of its columns.
func cka(_ outcome: RunOutcome) throws -> [[String: String]] {
  let table = try #require(
    outcome.reports.flatMap(\.report.tables).first { $0.name == "cka" })
  let lines = table.csv.split(separator: "\n").map {
    $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
  }
  let header = try #require(lines.first)
  return lines.dropFirst().map { Dictionary(zip(header, $0), uniquingKeysWith: { a, _ in a }) }
}
