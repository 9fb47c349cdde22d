extension ViTConfiguration {
  /// timm's names, and the CIFAR-100 model of Park and Kim (2022).
  public static let variants: [ModelVariant<Self>] = plain + deit + deit3 + dinov2 + others

  private typealias Size = (name: String, dim: Int, depth: Int, heads: Int)

  private static let tiny: Size = ("tiny", 192, 12, 3)
  private static let small: Size = ("small", 384, 12, 6)
  private static let medium: Size = ("medium", 512, 12, 8)
  private static let base: Size = ("base", 768, 12, 12)
  private static let large: Size = ("large", 1024, 24, 16)
  private static let huge: Size = ("huge", 1280, 32, 16)

  private static func make(
    _ size: Size, patch: Int, image: Int, _ change: (inout Self) -> Void = { _ in }
  ) -> Self {
    var c = Self()
    (c.dim, c.depth, c.heads, c.mlp) = (size.dim, size.depth, size.heads, 4 * size.dim)
    (c.patch, c.imageSize, c.grid) = (patch, Extents(image), image / patch)
    change(&c)
    return c
  }

  private static let plain: [ModelVariant<Self>] = [
    (tiny, 16, [224, 384]), (small, 32, [224, 384]), (small, 16, [224, 384]), (small, 8, [224]),
    (base, 32, [224, 384]), (base, 16, [224, 384]), (base, 8, [224]),
    (large, 32, [224, 384]), (large, 16, [224, 384]), (large, 14, [224]), (huge, 14, [224]),
  ].flatMap { (size: Size, patch: Int, images: [Int]) in
    images.map { image in
      ModelVariant(
        "vit_\(size.name)_patch\(patch)_\(image)", make(size, patch: patch, image: image),
        .half(image, crop: image == 224 ? 0.9 : 1))
    }
  }

  private static let deit: [ModelVariant<Self>] = [
    (tiny, 224), (small, 224), (base, 224), (base, 384),
  ].flatMap { (size: Size, image: Int) in
    let preprocessing = Preprocessing.imageNet(image, crop: image == 224 ? 0.9 : 1)
    return [
      ModelVariant(
        "deit_\(size.name)_patch16_\(image)", make(size, patch: 16, image: image), preprocessing),
      ModelVariant(
        "deit_\(size.name)_distilled_patch16_\(image)",
        make(size, patch: 16, image: image) {
          ($0.distillationToken, $0.distillationHead) = (true, true)
        }, preprocessing),
    ]
  }

  private static let deit3: [ModelVariant<Self>] = [
    (small, 16, 224), (small, 16, 384), (medium, 16, 224), (base, 16, 224), (base, 16, 384),
    (large, 16, 224), (large, 16, 384), (huge, 14, 224),
  ].map { (size: Size, patch: Int, image: Int) in
    ModelVariant(
      "deit3_\(size.name)_patch\(patch)_\(image)",
      make(size, patch: patch, image: image) { ($0.positions, $0.layerScale) = (.patches, true) },
      .imageNet(image, crop: image == 224 ? 0.9 : 1))
  }

  private static let dinov2: [ModelVariant<Self>] = [
    small, base, large, ("giant", 1536, 40, 24),
  ].flatMap { (size: Size) in
    [0, 4].map { registers in
      ModelVariant(
        "vit_\(size.name)_patch14" + (registers > 0 ? "_reg4" : "") + "_dinov2",
        make(size, patch: 14, image: 518) {
          ($0.layerScale, $0.classes, $0.registers) = (true, 0, registers)
          if registers > 0 { $0.positions = .patches }
          if size.name == "giant" { ($0.perceptron, $0.mlp) = (.swiglu, 4096) }
        }, .imageNet(518, crop: 1))
    }
  }

  private static let others: [ModelVariant<Self>] = [
    ModelVariant(
      "vit_base_patch16_gap_224",
      make(base, patch: 16, image: 224) {
        ($0.classToken, $0.pool) = (false, .normalisedAverage)
      }, .half(224, crop: 0.9)),
    ModelVariant(
      "vit_base_patch16_siglip_224",
      make(base, patch: 16, image: 224) {
        ($0.classToken, $0.pool, $0.classes) = (false, .attention, 0)
      }, .half(224, crop: 0.9)),
    ModelVariant(
      "vit_ti_cifar100",
      make(tiny, patch: 2, image: 32) { ($0.qkvBias, $0.classes) = (false, 100) }, .cifar100),
  ]
}
