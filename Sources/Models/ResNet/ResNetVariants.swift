extension ResNetConfiguration {
  /// torchvision's and timm's names, and the CIFAR-100 models of Park and Kim (2022).
  public static let variants: [ModelVariant<Self>] = published + cifar

  private typealias Size = (name: Int, depths: [Int], block: Block)

  private static let sizes: [Size] = [
    (18, [2, 2, 2, 2], .basic), (34, [3, 4, 6, 3], .basic), (26, [2, 2, 2, 2], .bottleneck),
    (50, [3, 4, 6, 3], .bottleneck), (101, [3, 4, 23, 3], .bottleneck),
    (152, [3, 8, 36, 3], .bottleneck), (200, [3, 24, 36, 3], .bottleneck),
    (269, [3, 30, 48, 8], .bottleneck), (201, [3, 24, 36, 4], .bottleneck),
  ]

  private static func size(_ name: Int) -> Size { sizes.first { $0.name == name } ?? sizes[3] }

  private static func make(_ size: Size, _ change: (inout Self) -> Void = { _ in }) -> Self {
    var c = Self()
    (c.depths, c.block) = (size.depths, size.block)
    change(&c)
    c.outs = c.outs.isEmpty ? c.widths.map { $0 * c.block.expansion } : c.outs
    return c
  }

  private static let cifar: [ModelVariant<Self>] =
    [18, 34, 50, 101, 152].flatMap { name in
      ["resnet", "preresnet", "seresnet"].map { kind in
        ModelVariant(
          "\(kind)\(name)_cifar100",
          make(size(name)) {
            ($0.stem, $0.imageSize, $0.classes, $0.outs) = (.cifar, 32, 100, [])
            ($0.preActivation, $0.pool, $0.stemStride) = (kind == "preresnet", .none, 1)
            if kind == "seresnet" {
              let expansion = $0.block.expansion
              ($0.squeeze, $0.squeezeBias) = ($0.widths.map { $0 * expansion / 16 }, false)
            }
          }, .cifar100)
      }
    }
    + [18, 34, 50, 101, 152].map { name in
      ModelVariant(
        "preresnet\(name)",
        make(size(name)) { ($0.preActivation, $0.outs) = (true, []) },
        .imageNet(224, crop: 0.875, .bilinear))
    }

  // MARK: timm

  /// timm's names, the parts of a name in the order they have in it: `seresnextaa101d_32x8d`.
  private static let published: [ModelVariant<Self>] = [
    // timm's default weights (a1, a1h) and torchvision's differ in crop and interpolation.
    ("resnet18", 224, 0.95), ("resnet34", 224, 0.95), ("resnet50", 224, 0.95),
    ("resnet101", 224, 0.95), ("resnet152", 224, 0.95), ("resnet26", 224, 0.875),
    ("resnet200", 224, 0.875), ("resnet10t", 176, 0.875), ("resnet14t", 176, 0.875),
    ("resnet26t", 256, 0.94), ("resnet50t", 224, 0.875), ("resnet18d", 224, 0.875),
    ("resnet26d", 224, 0.875), ("resnet34d", 224, 0.875), ("resnet50d", 224, 0.875),
    ("resnet101d", 256, 0.95), ("resnet152d", 256, 0.95), ("resnet200d", 256, 0.95),
    ("resnet50c", 224, 0.875), ("resnet101c", 224, 0.875), ("resnet152c", 224, 0.875),
    ("resnet50s", 224, 0.875), ("resnet101s", 224, 0.875), ("resnet152s", 224, 0.875),
    ("resnetblur18", 224, 0.875), ("resnetblur50", 224, 0.875), ("resnetblur50d", 224, 0.875),
    ("resnetblur101d", 224, 0.875), ("resnetaa34d", 224, 0.875), ("resnetaa50", 224, 0.95),
    ("resnetaa50d", 224, 0.95), ("resnetaa101d", 224, 0.95), ("wide_resnet50_2", 224, 0.875),
    ("wide_resnet101_2", 224, 0.875), ("resnext50_32x4d", 224, 0.95),
    ("resnext50d_32x4d", 224, 0.875), ("resnext101_32x4d", 224, 0.875),
    ("resnext101_32x8d", 224, 0.875), ("resnext101_32x16d", 224, 0.875),
    ("resnext101_32x32d", 224, 0.875), ("resnext101_64x4d", 224, 0.95),
    ("seresnet18", 224, 0.875), ("seresnet34", 224, 0.875), ("seresnet50", 224, 0.95),
    ("seresnet50t", 224, 0.875), ("seresnet101", 224, 0.875), ("seresnet152", 224, 0.875),
    ("seresnet152d", 256, 0.95), ("seresnet200d", 256, 0.875), ("seresnet269d", 256, 0.875),
    ("seresnetaa50d", 224, 0.875), ("seresnext26d_32x4d", 224, 0.875),
    ("seresnext26t_32x4d", 224, 0.875), ("seresnext50_32x4d", 224, 0.875),
    ("seresnext101_32x4d", 224, 0.875), ("seresnext101_32x8d", 224, 0.95),
    ("seresnext101_64x4d", 224, 0.875), ("seresnext101d_32x8d", 224, 0.95),
    ("seresnextaa101d_32x8d", 288, 0.95), ("seresnextaa201d_32x8d", 384, 1),
    ("resnetrs50", 160, 0.91), ("resnetrs101", 192, 0.94), ("resnetrs152", 256, 1),
    ("resnetrs200", 256, 1), ("resnetrs270", 256, 1), ("resnetrs350", 288, 1),
    ("resnetrs420", 320, 1),
  ].map { (name: String, image: Int, crop: Double) in
    let bilinear: Set = [
      "resnext101_32x4d", "resnext101_32x8d", "resnext101_32x16d", "resnext101_32x32d",
      "wide_resnet101_2",
    ]
    return ModelVariant(
      name, named(name, image: image),
      .imageNet(image, crop: crop, bilinear.contains(name) ? .bilinear : .bicubic))
  }

  /// The network that a name of timm spells out.
  private static func named(_ name: String, image: Int) -> Self {
    let digits = name.drop { !$0.isNumber }
    let number = Int(digits.prefix { $0.isNumber }) ?? 50
    let suffix = digits.drop { $0.isNumber }.first
    let small: [Int: Size] = [
      10: (10, [1, 1, 1, 1], .basic), 14: (14, [1, 1, 1, 1], .bottleneck),
      270: (270, [4, 29, 53, 4], .bottleneck), 350: (350, [4, 36, 72, 4], .bottleneck),
      420: (420, [4, 44, 87, 4], .bottleneck),
    ]
    return make(small[number] ?? size(number)) { c in
      c.imageSize = Extents(image)
      let isScaled = name.contains("resnetrs")
      let wide = number == 201 ? 64 : 32
      switch suffix {
      case "t": (c.stem, c.stemWidths, c.averageDown) = (.deep, [24, 32], true)
      case "d": (c.stem, c.stemWidths, c.averageDown) = (.deep, [wide, wide], true)
      case "c": (c.stem, c.stemWidths) = (.deep, [32, 32])
      case "s": (c.stem, c.stemWidths, c.stemWidth) = (.deep, [64, 64], 128)
      default: c.stemWidths = [32, 32]
      }
      if wide == 64 { c.stemWidth = 128 }
      if isScaled {
        (c.stem, c.stemWidths, c.averageDown, c.pool) = (.deep, [32, 32], true, .convolution)
      }
      if c.stemWidth == 128, c.stem != .deep { c.stemWidths = [64, 64] }
      if name.contains("blur") { c.antialias = .blur }
      if name.contains("aa") { c.antialias = .average }
      c.outs = c.widths.map { $0 * c.block.expansion }
      if name.hasPrefix("wide") { c.widths = c.widths.map { 2 * $0 } }
      if name.contains("next"), let form = name.split(separator: "_").last {
        let parts = form.dropLast().split(separator: "x").compactMap { Int($0) }
        if parts.count == 2 {
          c.groups = parts[0]
          c.widths = c.widths.map { $0 * parts[0] * parts[1] / 64 }
        }
      }
      c.width = c.widths[0]
      if name.hasPrefix("se") || isScaled {
        // timm rounds to multiples of 8.
        c.squeeze = c.outs.map { max(8, ($0 / (isScaled ? 4 : 16) + 4) / 8 * 8) }
      }
    }
  }
}
