import Checkpoints
import StrictJSON
import Tensors

/// Vision transformers whose attention is to the window around each place (Yang et al. 2019, "Convolutional Self-Attention
/// Networks", in two dimensions; `convit` of xxxnell/how-do-vits-work), without a class token.
public struct ConvolutionalViTConfiguration: ModelConfiguration {
  /// The size of the input images in pixels.
  public var imageSize: Extents = 224
  /// The side of a patch in pixels.
  public var patch = 16
  /// Width of a place.
  public var dim = 192
  /// The number of blocks.
  public var depth = 12
  /// Attention heads of every block.
  public var heads = 3
  /// Width of all heads together.
  public var inner = 192
  /// Width inside the perceptron.
  public var mlp = 768
  /// The side of the window that a place attends to.
  public var kernel = 3
  /// Number of classes; 0 without a head.
  public var classes = 1000
  /// Colour channels.
  public var channels = 3
  /// Epsilon of normalisations.
  public var epsilon = 1e-5

  /// The tiny size at 224.
  public init() {}

  /// `convit`.
  public static let family = "convit"
  /// What the family is.
  public static let summary = "vision transformers with convolutional local attention"

  /// The hyper-parameters by name.
  public static let parameters: [ConfigurationParameter<Self>] = [
    .image(\.imageSize),
    .patch(\.patch),
    .dim(\.dim, default: 192),
    .depth(\.depth, default: 12),
    .init(
      "heads", \.heads, "attention heads", in: 1...1024, origin: .declaration,
      isAlwaysShown: true, derived: { max(1, $0.dim / 64) }),
    .init(
      "kernel", \.kernel, "side of the window attended to, odd", default: 3, in: 1...31,
      origin: .declaration, isAlwaysShown: true),
    .classes,
    .init("inner", \.inner, "width of all heads together", in: 1...65536, derived: { $0.dim }),
    .mlp(\.mlp, dim: \.dim),
    .channels,
    .epsilon(\.epsilon) { _ in 1e-5 },
  ]

  /// The repository's sizes, with windows of its default side.
  public static let variants: [ModelVariant<Self>] = [
    ("ti", 192, 3, 12), ("s", 384, 6, 12), ("b", 768, 12, 12), ("l", 1024, 16, 24),
    ("h", 1280, 16, 32),
  ].map { (name: String, dim: Int, heads: Int, depth: Int) in
    var c = Self()
    (c.dim, c.heads, c.depth, c.inner, c.mlp) = (dim, heads, depth, dim, 4 * dim)
    return ModelVariant("hdv_convit_\(name)", c, .imageNet(224, crop: 0.875))
  }

  /// xxxnell/how-do-vits-work.
  public static let keyMappings = [
    KeyMapping(
      "how-do-vits-work",
      signature: ["embedding.2.pos_embedding", "transformers.0.attn.to_kv.weight"])
  ]

  /// d'Ascoli's network of the same name.
  public static func reasonAgainst(variant: String) -> String? {
    variant.hasPrefix("convit_")
      ? "\(variant) is a ConViT with gated positions (d'Ascoli et al. 2021), which is not supported"
      : nil
  }

  /// d'Ascoli's network of the same name.
  public static func reasonAgainst(names: [String]) -> String? {
    names.contains { $0.hasSuffix(".attn.gating_param") }
      ? "weights of a ConViT with gated positions (d'Ascoli et al. 2021), which is not supported"
      : nil
  }

  /// Reads a configuration off names and shapes. The window cannot be read, nor can heads: they are the variant's, or 64
  /// channels each.
  public static func detect(
    _ weights: WeightsView, base: ConvolutionalViTConfiguration?
  ) throws(ModelError) -> ConvolutionalViTConfiguration {
    var c = base ?? ConvolutionalViTConfiguration()
    (c.dim, c.channels, c.patch) = try weights.patchProjection("embedding.0.weight")
    c.depth = weights.count { "transformers.\($0).attn.to_q.weight" }
    c.inner = try weights.require("transformers.0.attn.to_q.weight", rank: 4)[0]
    let keys = try weights.require("transformers.0.attn.to_kv.weight", rank: 4)
    guard keys[2] == 1, keys[3] == 1 else {
      throw ModelError(
        .unexpected,
        place: "tensor \"\(weights.foreignName("transformers.0.attn.to_kv.weight"))\"",
        found: "keys of \(keys[2])x\(keys[3]) places", expected: "keys of single places")
    }
    c.mlp = try weights.require("transformers.0.ff.net.0.weight", rank: 4)[0]
    if base?.inner != c.inner {
      guard c.inner.isMultiple(of: 64) else {
        throw weights.undeterminedHeads(Self.family, width: c.inner)
      }
      c.heads = c.inner / 64
    }
    let rows = try weights.require("embedding.2.pos_embedding", rank: 3)[1]
    guard let side = squareRoot(rows) else {
      throw ModelError(
        .unreadable, place: "tensor \"\(weights.foreignName("embedding.2.pos_embedding"))\"",
        found: "\(rows) positions", expected: "those of a square grid")
    }
    c.imageSize = Extents(side.multipliedReportingOverflow(by: c.patch).partialValue)
    c.classes = weights.classes("classifier.3.weight")
    return c
  }

  /// The places by their width, or by the scores of their windows.
  public var largestMap: (places: Int, channels: Int) {
    let side = imageSize.side / max(1, patch)
    let scores = heads.multipliedReportingOverflow(by: kernel * kernel).partialValue
    return (side.multipliedReportingOverflow(by: side).partialValue, max(dim, mlp, scores))
  }

  /// Checks that windows have a centre, that heads divide the width, and that patches fill the image.
  public func checkRelations() throws(ModelError) {
    guard kernel % 2 == 1 else { throw refusal("kernel", "\(kernel)", "an odd side") }
    guard inner.isMultiple(of: heads) else {
      throw refusal("heads", "\(heads)", "a divisor of the width \(inner)")
    }
    guard imageSize.side.isMultiple(of: patch) else {
      throw refusal("patch", "\(patch)", "a divisor of the image size \(imageSize.side)")
    }
  }

  /// Builds a model from weights.
  public func makeModel(_ weights: Scope) throws(ParameterError) -> any VisionModel {
    try ConvolutionalViT(self, weights)
  }
}
