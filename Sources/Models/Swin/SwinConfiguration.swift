import Checkpoints
import StrictJSON
import Tensors

/// Vision transformers with attention in shifted windows: Swin (Liu et al. 2021), its S3 forms (Chen
/// et al. 2021), and Swin as Park and Kim's code has it.
public struct SwinConfiguration: ModelConfiguration {
  /// Where zeros go on a map that is no multiple of the window, when windows are shifted.
  public enum Padding: String, ConfigurationValue, Codable, Sendable, CaseIterable {
    /// The map is shifted, then padded at the bottom and the right: timm.
    case afterShift = "after-shift"
    /// The map is padded, then shifted: torchvision, Hugging Face. A window may exceed its map.
    case beforeShift = "before-shift"
  }

  /// Whose details they are.
  public enum Form: String, ConfigurationValue, Codable, Sendable, CaseIterable {
    /// Liu et al. 2021: merging by a linear map of normalised neighbours, one table of positions a head.
    case original
    /// xxxnell/how-do-vits-work, `models/swin.py`: merging by convolution, one table for all heads, heads
    /// of a fixed width, and masks which at the right edge leave most pairs visible that the shift
    /// brought together. No weights of this form were published: the CIFAR models of that work are of
    /// the original one.
    case howDoViTsWork = "how-do-vits-work"
  }

  /// The size of the input images in pixels.
  public var imageSize: Extents = 224
  /// The side of a patch in pixels.
  public var patch = 4
  /// Width of a token in the first stage.
  public var dim = 96
  /// Blocks of each stage.
  public var depths = [2, 2, 6, 2]
  /// Attention heads of each stage.
  public var heads = [3, 6, 12, 24]
  /// The side of the largest window in tokens.
  public var window = 7
  /// Number of classes; 0 without a head.
  public var classes = 1000
  /// Whose details they are.
  public var form = Form.original
  /// Channels of one head; 0 where the heads share the width of a token.
  public var headWidth = 0
  /// Where zeros go on a map that is no multiple of the window.
  public var padding = Padding.afterShift
  /// The side of the windows that each stage has tables of positions for.
  public var windows = [7, 7, 7, 7]
  /// The side of the windows that each stage is to attend in, where that is another.
  public var attendedWindows = [7, 7, 7, 7]
  /// Width of a token in each stage.
  public var widths = [96, 192, 384, 768]
  /// Width inside the perceptron for each channel of a token.
  public var mlpRatio = 4
  /// Width inside the perceptron in each stage.
  public var mlp = [384, 768, 1536, 3072]
  /// Whether queries, keys and values have a bias.
  public var qkvBias = true
  /// Whether a table of absolute positions is added to the patches.
  public var absolutePositions = false
  /// Side of the grid of patches that absolute positions are stored for.
  public var grid = 56
  /// Colour channels.
  public var channels = 3
  /// The non-linearity of perceptrons.
  public var act = ActivationFunction.gelu
  /// Epsilon of the normalisations of blocks, and of the last.
  public var epsilon = 1e-5
  /// Epsilon of the normalisations of patches and of what is merged: transformers sets it apart.
  public var patchEpsilon = 1e-5

  /// Swin-T at 224.
  public init() {}

  /// `swin`.
  public static let family = "swin"
  /// What the family is.
  public static let summary = "transformers with attention in shifted windows: Swin"

  /// The hyper-parameters by name.
  public static let parameters: [ConfigurationParameter<Self>] = [
    .image(\.imageSize),
    .patch(\.patch, default: 4),
    .init(
      "window", \.window, "side of a window in tokens", default: 7, in: 1...64,
      isAlwaysShown: true),
    .init(
      "dim", \.dim, "width of a token in the first stage", default: 96, in: 1...8192,
      isAlwaysShown: true),
    .depths(\.depths, default: [2, 2, 6, 2]),
    .init(
      "heads", \.heads, "attention heads of each stage", in: 1...1024, asMany: \.depths,
      isAlwaysShown: true, derived: { c in c.depths.indices.map { max(1, c.dim.doubled($0) / 32) } }
    ),
    .classes,
    .init("form", \.form, "whose masks, merging and tables of positions", default: .original),
    .init(
      "head-dim", \.headWidth, "channels of one head, 0 for a share of the width", in: 0...1024,
      origin: .declaration, derived: { $0.form == .original ? 0 : 32 }),
    .init(
      "padding", \.padding, "where zeros go when windows do not fill the map",
      default: .afterShift, origin: .declaration),
    .init(
      "windows", \.windows, "side of the windows that positions are stored for", in: 1...64,
      asMany: \.depths,
      derived: { c in
        c.sides.map { c.fitsWindows ? min(c.window, max(1, $0)) : c.window }
      }),
    .init(
      "attended-windows", \.attendedWindows,
      "side of the windows of attention, whose positions are interpolated", in: 1...64,
      asMany: \.depths, origin: .declaration, derived: { $0.windows }),
    .init(
      "mlp-ratio", \.mlpRatio, "width inside the perceptron for each channel", default: 4,
      in: 1...64),
    .init(
      "widths", \.widths, "width of a token in each stage", in: 1...1_048_576, asMany: \.depths,
      derived: { c in c.depths.indices.map { c.dim.doubled($0) } }),
    .init(
      "mlp", \.mlp, "width inside the perceptron in each stage", in: 1...4_194_304,
      asMany: \.depths,
      derived: { c in
        c.widths.map { $0.multipliedReportingOverflow(by: c.mlpRatio).partialValue }
      }),
    .init(
      "qkv-bias", \.qkvBias, "a bias on queries, keys, values", derived: { $0.form == .original }),
    .init("ape", \.absolutePositions, "absolute positions of patches", default: false),
    .init(
      "grid", \.grid, "side of the grid that absolute positions are stored for", in: 1...16384,
      origin: .adaptable, derived: { $0.imageSize.side / max(1, $0.patch) }),
    .channels,
    .init("act", \.act, "non-linearity of perceptrons", default: .gelu, origin: .declaration),
    .epsilon(\.epsilon) { _ in 1e-5 },
    .init(
      "patch-eps", \.patchEpsilon, "epsilon of the norms of patches and of what is merged",
      origin: .declaration, derived: { $0.epsilon }),
  ]

  /// ImageNet's statistics; images as they are if they are small.
  public var preprocessing: Preprocessing {
    preprocessing(.imageNet(imageSize.side, crop: imageSize.side >= 384 ? 1 : 0.9))
  }

  /// Whether a window shrinks to a map that it exceeds, as in timm, instead of being padded.
  private var fitsWindows: Bool { form == .original && padding == .afterShift }

  /// The sides of the maps of the stages, in tokens.
  var sides: [Int] {
    var side = imageSize.side / max(1, patch)
    return depths.indices.map { stage in
      if stage > 0 { side = form == .original ? side / 2 + side % 2 : side / 2 }
      return side
    }
  }

  /// One resolution of the network.
  struct Stage: Sendable {
    /// Channels of a token.
    let width: Int
    /// Attention heads.
    let heads: Int
    /// Channels of one head.
    let headWidth: Int
    /// Channels inside the perceptron.
    let hidden: Int
    /// The side of the windows that positions are stored for.
    let storedWindow: Int
    /// The side of a window in tokens.
    let window: Int
    /// The side of the map of an image of the configured size.
    let side: Int
  }

  /// The resolutions of the network.
  var stages: [Stage] {
    zip(depths.indices, sides).map { index, side in
      Stage(
        width: widths[index], heads: heads[index],
        headWidth: headWidth == 0 ? widths[index] / heads[index] : headWidth, hidden: mlp[index],
        storedWindow: windows[index],
        window: fitsWindows ? min(attendedWindows[index], max(1, side)) : attendedWindows[index],
        side: side)
    }
  }

  /// Tokens of the first stage by their width.
  public var largestMap: (places: Int, channels: Int) { (sides[0] * sides[0], dim) }

  /// Checks that heads divide the widths, that windows fit the maps and memory, and that positions are
  /// stored for the image.
  public func checkRelations() throws(ModelError) {
    guard dim == widths[0] else {
      throw refusal("dim", "\(dim)", "\(widths[0]), the first of the widths given")
    }
    for (index, stage) in stages.enumerated() {
      if headWidth == 0, !stage.width.isMultiple(of: stage.heads) {
        throw refusal(
          "heads", "\(stage.heads) heads in stage \(index + 1)",
          "a divisor of its width \(stage.width)")
      }
      let area = max(stage.window, stage.storedWindow) * max(stage.window, stage.storedWindow)
      // A few kinds of masks are held at once.
      guard stage.heads <= Self.largestValue / 4 / (area * area) else {
        throw refusal(
          "windows", "\(stage.heads) heads in windows of \(stage.window)x\(stage.window) tokens",
          "at most \(Self.largestValue / 4) values in the scores of a window")
      }
      if form == .howDoViTsWork, stage.side == 0 || !stage.side.isMultiple(of: stage.window) {
        throw refusal(
          "image",
          "a map of \(stage.side)x\(stage.side) tokens in stage \(index + 1) at "
            + "\(imageSize.argument) pixels",
          "a multiple of the window, \(stage.window)", "Give another image size, or another window")
      }
    }
    if absolutePositions, grid != sides[0] {
      throw refusal(
        "image", "\(sides[0])x\(sides[0]) patches at \(imageSize.argument) pixels",
        "\(grid)x\(grid), which absolute positions are stored for",
        "Images of another size need other weights")
    }
  }

  /// Builds a model from weights.
  public func makeModel(_ weights: Scope) throws(ParameterError) -> any VisionModel {
    try Swin(self, weights)
  }
}

extension SwinConfiguration {
  /// timm's and torchvision's names, the CIFAR-100 model of Park and Kim (2022), and the sizes of their
  /// own code, whose `swin_l` has the depths and heads of `swin_t`.
  public static let variants: [ModelVariant<Self>] =
    timm + s3 + torchvision + [
      ModelVariant(
        "swin_ti_cifar100",
        make(tiny, window: 4) {
          ($0.patch, $0.imageSize, $0.grid, $0.classes, $0.qkvBias) = (1, 32, 32, 100, false)
        }, .cifar100)
    ] + howDoViTsWork

  private typealias Size = (name: String, dim: Int, depths: [Int], heads: [Int])

  private static let tiny: Size = ("tiny", 96, [2, 2, 6, 2], [3, 6, 12, 24])
  private static let small: Size = ("small", 96, [2, 2, 18, 2], [3, 6, 12, 24])
  private static let base: Size = ("base", 128, [2, 2, 18, 2], [4, 8, 16, 32])
  private static let large: Size = ("large", 192, [2, 2, 18, 2], [6, 12, 24, 48])
  private static let s3Base: Size = ("base", 96, [2, 2, 30, 2], [3, 6, 12, 24])

  private static func make(
    _ size: Size, image: Int = 224, window: Int = 7, windows: [Int]? = nil,
    _ change: (inout Self) -> Void = { _ in }
  ) -> Self {
    var c = Self()
    (c.dim, c.depths, c.heads) = (size.dim, size.depths, size.heads)
    c.widths = size.depths.indices.map { size.dim << $0 }
    c.mlp = c.widths.map { 4 * $0 }
    (c.imageSize, c.grid, c.window) = (Extents(image), image / c.patch, window)
    c.windows = windows ?? [Int](repeating: window, count: size.depths.count)
    c.attendedWindows = c.windows
    change(&c)
    return c
  }

  private static let timm: [ModelVariant<Self>] = [
    (tiny, 7, 224), (small, 7, 224), (base, 7, 224), (base, 12, 384), (large, 7, 224),
    (large, 12, 384),
  ].map { (size: Size, window: Int, image: Int) in
    ModelVariant(
      "swin_\(size.name)_patch4_window\(window)_\(image)",
      make(size, image: image, window: window), .imageNet(image, crop: image == 224 ? 0.9 : 1))
  }

  private static let s3: [ModelVariant<Self>] = [
    (tiny, [7, 7, 14, 7]), (small, [14, 14, 14, 7]),
    (s3Base, [7, 7, 14, 7]),
  ].map { (size: Size, windows: [Int]) in
    ModelVariant(
      "swin_s3_\(size.name)_224", make(size, window: 14, windows: windows),
      .imageNet(224, crop: 0.9))
  }

  private static let torchvision: [ModelVariant<Self>] = [
    (tiny, 232), (small, 246), (base, 238),
  ].map { (size: Size, edge: Int) in
    var preprocessing = Preprocessing.imageNet(224, crop: 1)
    preprocessing.resize = .shortEdge(edge)
    return ModelVariant(
      "swin_\(size.name.prefix(1))", make(size) { $0.padding = .beforeShift }, preprocessing)
  }

  private static let howDoViTsWork: [ModelVariant<Self>] = [
    ("t", tiny), ("s", small), ("b", base),
    ("l", (name: large.name, dim: large.dim, depths: tiny.depths, heads: tiny.heads)),
  ].map { (name: String, size: Size) in
    ModelVariant(
      "hdv_swin_\(name)",
      make(size) { ($0.form, $0.headWidth, $0.qkvBias) = (.howDoViTsWork, 32, false) },
      .imageNet(224, crop: 0.875))
  }
}
