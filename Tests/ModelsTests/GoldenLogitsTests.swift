import Models
import Tensors
import Testing

/// Logits of small instances under the deterministic fill, from a float64 evaluation of timm,
/// torchvision and xxxnell/how-do-vits-work.
@Suite struct GoldenLogitsTests {
  private static let vitCases: [(String, [Double])] = [
    ("", [0.138510532, 0.557912451, 0.202945260, 0.460677151, -0.515995592]),
    (",qkv-bias=false", [-0.081282214, 0.754145911, 0.204769532, 0.427471463, -0.570501778]),
    (",distilled=true", [0.058430945, 0.408789585, 0.092645187, 0.069164024, -0.353544191]),
    (
      ",positions=patches,layer-scale=true",
      [-0.459364187, 0.465281501, 0.073006924, 0.073156633, -0.104650021]
    ),
    (",class-token=false", [0.459364025, 0.763174869, 0.046313482, -0.078177937, -0.020144833]),
    (
      ",class-token=false,pool=normalised-average",
      [0.008727928, 0.366926575, -0.021496250, 0.068820441, -0.623655346]
    ),
    (
      ",class-token=false,pool=attention",
      [-0.118591686, 0.451936439, -0.053106760, 0.192727515, -0.074097691]
    ),
  ]

  @Test(arguments: vitCases)
  func visionTransformer(_ change: String, _ expected: [Double]) throws {
    let text = "vit(image=8,patch=2,dim=12,depth=2,heads=3,classes=5\(change))"
    let model = try Architecture(text).configuration.makeModel(Scope(FilledParameters()))
    let logits = model(
      DeterministicFill.values("input", [1, 3, 8, 8], isInput: true).permuted([0, 2, 3, 1]))
    #expect(logits.shape == [1, 5])
    for (value, golden) in zip(logits.values, expected) {
      #expect(abs(Double(value) - golden) < 2e-6)
    }
  }

  @Test func tapsOfThePlainTransformer() throws {
    let model = try Architecture("vit(image=8,patch=2,dim=12,depth=2,heads=3,classes=5)")
      .configuration.makeModel(Scope(FilledParameters()))
    let recorder = Recorder()
    _ = model(
      DeterministicFill.values("input", [1, 3, 8, 8], isInput: true).permuted([0, 2, 3, 1]),
      Context(probe: recorder))
    // Mean, sum of squares, and the unbiased variance over positions of the patches, averaged.
    let expected: [(String, Double, Double, Double)] = [
      ("embed", -0.023109074, 20.0827513, 0.095914251),
      ("blocks.0.attn_res", -0.120120590, 26.4884995, 0.095876590),
      ("blocks.0.mlp_res", -0.053599964, 39.7297941, 0.124122448),
      ("blocks.1.attn_res", -0.129807257, 49.9338438, 0.125423447),
      ("blocks.1.mlp_res", -0.056019403, 59.6106922, 0.136048877),
    ]
    for (name, mean, squares, variance) in expected {
      let values = try #require(recorder.values[name]).values.map(Double.init)
      #expect(values.count == 17 * 12)
      #expect(abs(values.reduce(0, +) / 204 - mean) < 1e-6)
      #expect(abs(values.reduce(0) { $0 + $1 * $1 } / squares - 1) < 1e-6)
      let variances = (0..<12).map { channel in
        let column = (1..<17).map { values[$0 * 12 + channel] }
        let centre = column.reduce(0, +) / 16
        return column.reduce(0) { $0 + ($1 - centre) * ($1 - centre) } / 15
      }
      #expect(abs(variances.reduce(0, +) / 12 - variance) < 1e-6)
    }
  }

  private static let residualCases: [(String, [Double], Double)] = [
    ("resnet-torchvision-18", [-0.15297173, -0.12177148, -0.14497474, -0.25595785], -0.1255150),
    ("resnet-timm-50", [0.01194502, -0.12889178, 0.18313203, -0.21807274], -9.5058740),
    ("resnet-hdv-18-cifar", [-0.03289955, 0.05794665, -0.01894228, 0.03708314], -2.1561472),
    ("resnet-hdv-50-cifar", [0.02060878, -0.12258438, -0.08952194, 0.34160158], -2.7850652),
    ("resnet-hdv-18-stem", [-0.01787473, 0.01188908, -0.00089546, 0.05505358], 0.0710516),
    ("preresnet-hdv-18-cifar", [0.11923919, 0.03089969, -0.27610136, 0.22938312], -2.1110311),
    ("preresnet-hdv-50-cifar", [0.29702158, 0.15825821, -0.25464228, 0.01385079], -2.9650810),
  ]

  @Test(.serialized, arguments: residualCases)
  func residualNetwork(_ name: String, _ expected: [Double], _ sum: Double) throws {
    let fixture = try Fixture(name)
    try fixture.withWeights { checkpoint in
      let logits = try ModelLoader.load(checkpoint).model(fixture.input()).values.map(Double.init)
      for (value, golden) in zip(logits, expected) { #expect(abs(value - golden) < 2e-6) }
      #expect(abs(logits.reduce(0, +) - sum) < 2e-4)
    }
  }
}
