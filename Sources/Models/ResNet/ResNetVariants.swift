extension ResNetConfiguration {
  /// torchvision's and timm's names, and the CIFAR-100 models of Park and Kim (2022).
  public static let variants: [ModelVariant<Self>] =
    sizes.map { name, depths, block in
      // timm's default weights (a1, a1h) and torchvision's differ in crop and interpolation.
      ModelVariant("resnet\(name)", make(depths, block), .imageNet(224, crop: 0.95))
    }
    + sizes.flatMap { name, depths, block in
      [false, true].map { preActivation in
        ModelVariant(
          (preActivation ? "preresnet" : "resnet") + "\(name)_cifar100",
          make(depths, block) {
            ($0.stem, $0.imageSize, $0.classes) = (.cifar, 32, 100)
            $0.preActivation = preActivation
          }, .cifar100)
      }
    }
    + sizes.map { name, depths, block in
      ModelVariant(
        "preresnet\(name)", make(depths, block) { $0.preActivation = true },
        .imageNet(224, crop: 0.875, .bilinear))
    }

  private static let sizes: [(name: Int, depths: [Int], block: Block)] = [
    (18, [2, 2, 2, 2], .basic), (34, [3, 4, 6, 3], .basic), (50, [3, 4, 6, 3], .bottleneck),
    (101, [3, 4, 23, 3], .bottleneck), (152, [3, 8, 36, 3], .bottleneck),
  ]

  private static func make(
    _ depths: [Int], _ block: Block, _ change: (inout Self) -> Void = { _ in }
  ) -> Self {
    var c = Self()
    (c.depths, c.block) = (depths, block)
    change(&c)
    return c
  }
}
