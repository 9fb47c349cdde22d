import Checkpoints
import Models
import StrictJSON
import Tensors
import Testing

/// Every tap of every reference model, within 1e-4 of the tap's largest magnitude.
@Suite struct ParityTests {
  static let tolerance = 1e-4
  static let families: Set = [
    "vit", "resnet", "preresnet", "swin", "pit", "mixer", "alternet", "refiner", "dwnet", "rednet",
    "pvt", "volo", "sasa", "convit", "aa_wide_resnet", "attention_cnn",
  ]

  @Test(.serialized, arguments: Fixture.names(of: families).filter { !$0.hasPrefix("gradients-") })
  func tapsEqualTheReference(_ name: String) throws {
    let fixture = try Fixture(name)
    try fixture.withWeights { checkpoint in
      let loaded = try ModelLoader.load(checkpoint, as: fixture.architecture())
      #expect(loaded.report.unmatched.isEmpty)
      try compare(loaded.model, fixture)
    }
  }

  @Test(.serialized, arguments: Fixture.names(of: families, full: true))
  func fullSizeTapsEqualTheReference(_ name: String) throws {
    let fixture = try Fixture(name)
    let variant = String(name.dropFirst("full-".count))
    if variant == "alternet-50-w7" {
      // Its canonical names are not the reference's, which the fill depends on.
      try fixture.withWeights { checkpoint in
        let loaded = try ModelLoader.load(checkpoint)
        #expect(loaded.report.variant == "alternet50")
        try compare(loaded.model, fixture)
      }
      return
    }
    let renamed = [
      "vit_tiny_patch2_32_cifar100": "vit_ti_cifar100", "swin_tiny_cifar100": "swin_ti_cifar100",
    ]
    let named = renamed[variant] ?? variant
    var configuration = try Architecture(named).configuration
    // DINOv2 ran at 224 with positions stored for that grid.
    if var vit = configuration as? ViTConfiguration, vit.imageSize == 518 {
      (vit.imageSize, vit.grid) = (224, 16)
      configuration = vit
    }
    // Names as the fixture spells them, which the fill depends on.
    let tensors = try fixture.keys().map { ($0.name, DeterministicFill.values($0.name, $0.shape)) }
    let model = try withCheckpoint(tensors) { checkpoint in
      try ModelLoader.load(checkpoint, as: Architecture(configuration)).model
    }
    try compare(model, fixture)
  }

  private func compare(_ model: any VisionModel, _ fixture: Fixture) throws {
    let recorder = Recorder()
    _ = model(try fixture.input(), Context(probe: recorder))
    let golden = try fixture.json("taps").objectValue ?? []
    #expect(!golden.isEmpty)
    for member in golden {
      let tap = member.name
      let shape = member.value.arrayValue?.compactMap(\.intValue) ?? []
      guard let value = recorder.values[tap],
        let layout = recorder.taps.first(where: { $0.name == tap })?.layout
      else {
        Issue.record("\(fixture.name): no tap \(tap)")
        continue
      }
      let own = value.stored(layout).seen(as: shape, layout)
      guard own.shape.dimensions == shape else {
        Issue.record("\(fixture.name): \(tap) has shape \(own.shape), expected \(shape)")
        continue
      }
      let error = try difference(own, tap, fixture)
      #expect(error <= Self.tolerance, "\(fixture.name): \(tap)")
    }
  }

  /// The largest difference, relative to the tap's largest magnitude.
  private func difference(_ own: Tensor, _ tap: String, _ fixture: Fixture) throws -> Double {
    let values = own.values
    if let whole = fixture.checkpoint["tap/\(tap)"] {
      let expected = try whole.floats()
      let largest = expected.reduce(0) { max($0, abs(Double($1))) }
      let error = zip(values, expected).reduce(0) { max($0, abs(Double($1.0) - Double($1.1))) }
      // A branch that is zero everywhere has to be so exactly.
      return largest > 0 ? error / largest : error
    }
    let samples = try #require(fixture.checkpoint["sample/\(tap)"]).floats()
    let stats = try #require(fixture.checkpoint["stats/\(tap)"]).floats().map(Double.init)
    let hash = DeterministicFill.hash("sample/\(tap)")
    var worst = 0.0
    for (index, expected) in samples.enumerated() {
      let place = Int(DeterministicFill.bits(hash, index + 1) % UInt64(values.count))
      worst = max(worst, abs(Double(values[place]) - Double(expected)))
    }
    let sum = values.reduce(0.0) { $0 + Double($1) }
    let squares = values.reduce(0.0) { $0 + Double($1) * Double($1) }
    let largest = values.reduce(0.0) { max($0, abs(Double($1))) }
    worst = max(worst, abs(largest - stats[0]), abs(sum / Double(values.count) - stats[1]))
    // A sum of squares that is off by a fraction says that values are off by half of it.
    return max(worst / stats[0], abs(squares / stats[2] - 1) / 2)
  }
}
