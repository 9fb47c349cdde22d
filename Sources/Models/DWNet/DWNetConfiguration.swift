import Checkpoints
import StrictJSON
import Tensors

/// Swin with depth-wise convolutions, static or dynamic, in the place of attention (Han et al. 2021,
/// "Demystifying Local Vision Transformer"; Atten4Vis/DemystifyLocalViT).
public struct DWNetConfiguration: ModelConfiguration {
  /// What the kernels of the depth-wise convolutions are made of.
  public enum Kernels: String, ConfigurationValue, Codable, Sendable, CaseIterable {
    /// Parameters.
    case fixed = "static"
    /// The mean of the image: one kernel a channel for all places of it.
    case dynamic
    /// The place: one kernel a group of channels for each.
    case inhomogeneous
  }

  /// The size of the input images in pixels.
  public var imageSize: Extents = 224
  /// The side of a patch in pixels.
  public var patch = 4
  /// The side of a kernel.
  public var window = 7
  /// Width of a place in the first stage; it doubles from stage to stage.
  public var dim = 96
  /// Blocks of each stage.
  public var depths = [2, 2, 6, 2]
  /// Number of classes; 0 without a head.
  public var classes = 1000
  /// What the kernels are made of.
  public var kernels = Kernels.fixed
  /// Channels that share an inhomogeneous kernel, in each stage: what the repository calls heads.
  public var groupChannels = [3, 6, 12, 24]
  /// Width inside the perceptron for each channel.
  public var mlpRatio = 4
  /// Colour channels.
  public var channels = 3
  /// Epsilon of layer normalisations.
  public var epsilon = 1e-5

  /// DWNet-tiny at 224.
  public init() {}

  /// `dwnet`.
  public static let family = "dwnet"
  /// What the family is.
  public static let summary = "Swin with depth-wise convolutions, static or dynamic: DWNet"

  /// The hyper-parameters by name.
  public static let parameters: [ConfigurationParameter<Self>] = [
    .image(\.imageSize),
    .patch(\.patch, default: 4),
    .init(
      "window", \.window, "side of a kernel, odd", default: 7, in: 1...31, isAlwaysShown: true),
    .init(
      "dim", \.dim, "width of a place in the first stage", default: 96, in: 4...8192,
      isAlwaysShown: true),
    .depths(\.depths, default: [2, 2, 6, 2]),
    .classes,
    .init(
      "kernels", \.kernels, "what kernels are made of", default: .fixed, isAlwaysShown: true),
    .init(
      "group-channels", \.groupChannels, "channels that share an inhomogeneous kernel",
      in: 1...1_048_576, asMany: \.depths,
      derived: { c in c.widths.map { max(1, $0 / 32) } }),
    .init("mlp-ratio", \.mlpRatio, "width inside the perceptron a channel", default: 4, in: 1...64),
    .channels,
    .epsilon(\.epsilon) { _ in 1e-5 },
  ]

  /// Width of a place in each stage.
  var widths: [Int] { depths.indices.map { dim.doubled($0) } }

  /// The published names.
  public static let variants: [ModelVariant<Self>] = [
    ("dwnet", Kernels.fixed), ("dynamic_dwnet", .dynamic), ("i_dynamic_dwnet", .inhomogeneous),
  ].flatMap { name, kernels in
    [("tiny", 96, [2, 2, 6, 2]), ("base", 128, [2, 2, 18, 2])].map { size, dim, depths in
      var c = Self()
      (c.kernels, c.dim, c.depths) = (kernels, dim, depths)
      c.groupChannels = c.widths.map { $0 / 32 }
      return ModelVariant(
        "\(name)_\(size)_patch4_window7_224", c, .imageNet(224, crop: 0.9))
    }
  }

  /// The names of Atten4Vis/DemystifyLocalViT.
  public static let keyMappings = [
    KeyMapping(
      "DemystifyLocalViT",
      signature: ["patch_embed.proj.weight", "layers.0.blocks.0.attn2conv.conv0.weight"])
  ]

  /// Reads a configuration off names and shapes; the size of the images cannot be read.
  public static func detect(
    _ weights: WeightsView, base: DWNetConfiguration?
  ) throws(ModelError) -> DWNetConfiguration {
    var c = base ?? DWNetConfiguration()
    (c.dim, c.channels, c.patch) = try weights.patchProjection("patch_embed.proj.weight")
    c.groupChannels = []
    let local = "layers.0.blocks.0.attn2conv.conv"
    let isInhomogeneous = weights.has("\(local).conv2.0.weight")
    c.kernels =
      isInhomogeneous ? .inhomogeneous : weights.has("\(local).conv2.weight") ? .dynamic : .fixed
    c.depths = weights.depths { "layers.\($0).blocks.\($1).attn2conv.conv0.weight" }
    switch c.kernels {
    case .fixed: c.window = try weights.require("\(local).weight", rank: 4)[3]
    case .dynamic:
      c.window = try side(
        weights, "\(local).conv2.weight", values: { $0 / max(1, c.dim) }, "a channel")
    case .inhomogeneous:
      (c.window, c.groupChannels) = try readGroups(weights, widths: c.widths, base: base)
    }
    if !isInhomogeneous { c.groupChannels = c.widths.map { max(1, $0 / 32) } }
    let hidden = try weights.require("layers.0.blocks.0.mlp.fc1.weight", rank: 2)[0]
    c.mlpRatio = max(1, hidden / max(1, c.dim))
    c.classes = weights.classes()
    return c
  }

  /// The side of inhomogeneous kernels and the channels that share one in each stage, from how many values
  /// are made for a place.
  private static func readGroups(
    _ weights: WeightsView, widths: [Int], base: Self?
  ) throws(ModelError) -> (window: Int, groupChannels: [Int]) {
    let names = widths.indices.map { "layers.\($0).blocks.0.attn2conv.conv.conv2.0.weight" }
    var values: [Int] = []
    for name in names { values.append(try weights.require(name, rank: 4)[0]) }
    let sides = stride(from: 1, through: 31, by: 2).filter { side in
      zip(values, widths).allSatisfy { values, width in
        let groups = values / (side * side)
        return groups > 0 && values == groups * side * side && width.isMultiple(of: groups)
      }
    }
    guard let side = sides.count > 1 ? sides.first(where: { $0 == base?.window }) : sides.first
    else {
      throw ModelError(
        sides.isEmpty ? .unreadable : .undetermined,
        place: "tensor \"\(weights.foreignName(names[0]))\"",
        found: "\(values[0]) values a place for \(widths[0]) channels",
        expected: sides.isEmpty
          ? "k² for each of some groups that divide the channels, k odd"
          : "window=, which is \(sides.map(String.init).joined(separator: " or "))")
    }
    return (side, zip(values, widths).map { $1 / ($0 / (side * side)) })
  }

  /// The side of square kernels, from how many values are made for them.
  private static func side(
    _ weights: WeightsView, _ name: String, values: (Int) -> Int, _ what: String
  ) throws(ModelError) -> Int {
    let rows = try weights.require(name, rank: 4)[0]
    guard let side = squareRoot(values(rows)), side % 2 == 1 else {
      throw ModelError(
        .unreadable, place: "tensor \"\(weights.foreignName(name))\"", found: "\(rows) values",
        expected: "k² \(what) for kernels of an odd side k")
    }
    return side
  }

  /// The map behind the patches by its width.
  public var largestMap: (places: Int, channels: Int) {
    let side = imageSize.side / max(1, patch)
    // Kernels of a place are more than its channels.
    let groups = dim / max(1, groupChannels.first ?? 1)
    let kernels = kernels == .inhomogeneous ? groups * window * window : 0
    return (side.multipliedReportingOverflow(by: side).partialValue, max(dim, kernels))
  }

  /// Checks that kernels have a centre, that groups divide the widths, and that maps can be halved.
  public func checkRelations() throws(ModelError) {
    guard window % 2 == 1 else { throw refusal("window", "\(window)", "an odd side") }
    for (stage, width) in widths.enumerated() where !width.isMultiple(of: groupChannels[stage]) {
      throw refusal(
        "group-channels", "\(groupChannels[stage]) in stage \(stage + 1)",
        "a divisor of its width \(width)")
    }
    try requireHalvings(of: imageSize.side / patch, depths.count - 1)
  }

  /// Builds a model from weights.
  public func makeModel(_ weights: Scope) throws(ParameterError) -> any VisionModel {
    try DWNet(self, weights)
  }
}
