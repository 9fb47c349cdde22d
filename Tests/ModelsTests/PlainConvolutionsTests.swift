import Checkpoints
import Tensors
import Testing

@testable import Models

/// The worked example of docs/adding-a-model.md, word for word, and what the page says of it.
@Suite struct PlainConvolutionsTests {
  @Test func aFamilyIsOneType() throws {
    let c = try PlainConfiguration.parse([("widths", "16-32")])
    #expect(c.text == "plain(image=32,widths=16-32,classes=1000)")
    let summary = try ModelSummary(Architecture(c))
    #expect(summary.parameterCount == 38040)
    #expect(summary.multiplyAdds == 437_504)
    #expect(summary.peakActivationBytes == 45056)
    #expect(summary.taps.map(\.tap.name) == ["convs.0", "convs.1", "logits"])
    #expect(c.preprocessing == .asIs(32, channels: 3))
  }

  @Test func rangesAreThoseOfTheDeclarations() {
    for (name, value, expected) in [
      ("image", "0", "1 to 16384"), ("widths", "0", "1 to 16 numbers, one a stage, of 1 to 65536"),
      ("classes", "-1", "0 to 1000000"), ("image", "8x16", "a square"),
    ] {
      let error = #expect(throws: ModelError.self) {
        try PlainConfiguration.parse([(name, value)])
      }
      #expect(error?.description.contains(expected) == true, "\(error?.description ?? "")")
    }
  }

  @Test func namesOfASequentialAreRecognised() throws {
    let tensors: [(String, Tensor)] = [
      ("features.0", [16, 3, 3, 3]), ("features.2", [32, 16, 3, 3]), ("classifier", [10, 32]),
    ].flatMap { (name: String, shape: [Int]) in
      [
        ("\(name).weight", DeterministicFill.values("\(name).weight", shape)),
        ("\(name).bias", DeterministicFill.values("\(name).bias", [shape[0]])),
      ]
    }
    try withCheckpoint(tensors) { checkpoint in
      let contents = try CheckpointContents(checkpoint)
      let mapping = try #require(PlainConfiguration.keyMappings.last)
      let view = WeightsView(contents, keyMapping: mapping, prefix: "")
      let found = try PlainConfiguration.detect(view, base: nil)
      #expect(found.text == "plain(image=32,widths=16-32,classes=10)")
    }
  }
}

/// Convolutions with ReLU one after the other, each halving the map, and a linear head on the mean.
public struct PlainConfiguration: ModelConfiguration {
  /// The size of the input images in pixels.
  public var imageSize: Extents = 32
  /// Output channels of each convolution.
  public var widths = [16, 32]
  /// Number of classes; 0 without a head.
  public var classes = 1000
  /// Colour channels.
  public var channels = 3

  /// Two convolutions for images of 32 pixels.
  public init() {}

  /// `plain`.
  public static let family = "plain"
  /// What the family is.
  public static let summary = "plain convolutions"

  /// The hyper-parameters by name.
  public static let parameters: [ConfigurationParameter<Self>] = [
    .image(\.imageSize) { _ in 32 },
    .init(
      "widths", \.widths, "output channels", default: [16, 32], in: 1...65536, count: 1...16,
      isAlwaysShown: true),
    .classes,
    .channels,
  ]

  /// None has a name of its own.
  public static let variants: [ModelVariant<Self>] = []

  /// Canonical names, and those of an `nn.Sequential` of convolution, ReLU, convolution, ReLU.
  public static let keyMappings = [
    KeyMapping("plain", signature: ["convs.0.weight"]),
    KeyMapping(
      "sequential", signature: ["features.0.weight", "features.2.weight"],
      rules: [
        .rename("convs.0", "features.0"), .rename("convs.1", "features.2"),
        .rename("head", "classifier"),
      ]),
  ]

  /// Reads everything but the image size off the shapes.
  public static func detect(_ weights: WeightsView, base: Self?) throws(ModelError) -> Self {
    var c = base ?? Self()
    c.channels = try weights.require("convs.0.weight", rank: 4)[1]
    c.widths = []
    for index in 0..<weights.count({ "convs.\($0).weight" }) {
      c.widths.append(try weights.require("convs.\(index).weight", rank: 4)[0])
    }
    c.classes = weights.classes()
    return c
  }

  /// Builds a model from weights.
  public func makeModel(_ weights: Scope) throws(ParameterError) -> any VisionModel {
    try PlainConvolutions(self, weights)
  }
}

/// The forward pass of ``PlainConfiguration``.
struct PlainConvolutions: VisionModel {
  private let convolutions: [NormedConvolution]
  private let classifier: Dense?
  let classCount: Int?

  init(_ c: PlainConfiguration, _ weights: Scope) throws(ParameterError) {
    var inputs = c.channels
    var convolutions: [NormedConvolution] = []
    for (index, width) in c.widths.enumerated() {
      convolutions.append(
        try NormedConvolution(
          weights["convs"][index], norm: nil, inputs, width, kernel: 3, stride: 2))
      inputs = width
    }
    self.convolutions = convolutions
    classifier = c.classes > 0 ? try Dense(weights["head"], inputs, c.classes) : nil
    classCount = c.classes > 0 ? c.classes : nil
  }

  var blockCount: Int { convolutions.count }

  func embed(_ images: Tensor, _ context: Context) -> Tensor { images }

  func block(_ index: Int, _ x: Tensor, _ context: Context) -> Tensor {
    context.tap(
      Tap("convs.\(index)", .conv, layout: .featureMap, roles: [.sequence, .block]),
      convolutions[index](x, activation: .relu, context))
  }

  func head(_ x: Tensor, _ context: Context) -> Tensor {
    let features = x.globalAverage()
    return classifier.map { $0(features) } ?? features
  }
}
