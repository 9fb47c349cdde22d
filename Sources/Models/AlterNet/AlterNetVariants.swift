extension AlterNetConfiguration {
  /// AlterNet-18 to -152 for ImageNet, and for CIFAR-100 with windows of 4.
  public static let variants: [ModelVariant<Self>] =
    sizes.map { name, depths, block in
      ModelVariant(
        "alternet\(name)", make(depths, block) { _ in }, .imageNet(224, crop: 0.875, .bilinear))
    }
    + sizes.map { name, depths, block in
      ModelVariant(
        "alternet\(name)_cifar100",
        make(depths, block) {
          ($0.stem, $0.imageSize, $0.window, $0.classes) = (.cifar, 32, 4, 100)
        }, .cifar100)
    }

  private static let sizes: [(name: Int, depths: [Int], block: Block)] = [
    (18, [2, 2, 2, 2], .basic), (34, [3, 4, 6, 4], .basic), (50, [3, 4, 6, 4], .bottleneck),
    (101, [3, 4, 23, 4], .bottleneck), (152, [3, 8, 36, 4], .bottleneck),
  ]

  private static func make(
    _ depths: [Int], _ block: Block, _ change: (inout Self) -> Void
  ) -> Self {
    var c = Self()
    (c.depths, c.block) = (depths, block)
    c.attentions = c.usualAttentions
    change(&c)
    return c
  }
}
