/// One line of the table of names: sizes, and how images are prepared.
private struct Row {
  enum Statistics { case half, imageNet, clip, none }

  let name: String
  let dim: Int
  let depth: Int
  let heads: Int
  let patch: Int
  let image: Int
  let classes: Int
  let mlp: Int
  let preprocessing: Preprocessing

  init(
    _ name: String, _ dim: Int, _ depth: Int, _ heads: Int, _ patch: Int, _ image: Int,
    classes: Int = 1000, mlp: Int? = nil, _ statistics: Statistics, crop: Double,
    squashes: Bool = false, _ interpolation: Preprocessing.Interpolation = .bicubic
  ) {
    (self.name, self.dim, self.depth, self.heads) = (name, dim, depth, heads)
    (self.patch, self.image, self.classes) = (patch, image, classes)
    self.mlp = mlp ?? 4 * dim
    var preprocessing = Preprocessing.imageNet(image, crop: crop, interpolation)
    switch statistics {
    case .imageNet: break
    case .half:
      (preprocessing.mean, preprocessing.std) = ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5])
    case .clip:
      (preprocessing.mean, preprocessing.std) = (Preprocessing.clipMean, Preprocessing.clipStd)
    case .none: (preprocessing.mean, preprocessing.std) = ([0, 0, 0], [1, 1, 1])
    }
    if squashes { preprocessing.resize = .squash }
    self.preprocessing = preprocessing
  }
}

extension ViTConfiguration {
  /// timm's names, and the CIFAR-100 model of Park and Kim (2022).
  public static let variants: [ModelVariant<Self>] =
    plain + deit + deit3 + dinov2 + others + published

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
    c.inner = size.dim
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

extension ViTConfiguration {
  private static func rows(
    _ rows: [Row], _ change: (inout Self) -> Void = { _ in }
  ) -> [ModelVariant<Self>] {
    rows.map { row in
      var c = Self()
      (c.dim, c.depth, c.heads, c.mlp, c.inner) = (row.dim, row.depth, row.heads, row.mlp, row.dim)
      (c.patch, c.imageSize, c.grid) = (row.patch, Extents(row.image), row.image / row.patch)
      c.classes = row.classes
      change(&c)
      return ModelVariant(row.name, c, row.preprocessing)
    }
  }

  /// Further names of timm, by what their networks have in common: each line the width, depth, heads, patch
  /// and image size.
  static let published: [ModelVariant<Self>] = [
    rows(
      [
        Row("beit3_base_patch16_224", 768, 12, 12, 16, 224, .imageNet, crop: 1),
        Row("beit3_giant_patch14_224", 1408, 40, 16, 14, 224, mlp: 6144, .imageNet, crop: 1),
        Row("beit3_giant_patch14_336", 1408, 40, 16, 14, 336, mlp: 6144, .imageNet, crop: 1),
        Row("beit3_large_patch16_224", 1024, 24, 16, 16, 224, .imageNet, crop: 1),
      ]) {
        $0.epsilon = 1e-5
        $0.pool = .average
      },
    rows(
      [
        Row("test_vit", 64, 6, 2, 16, 160, mlp: 192, .half, crop: 0.95),
        Row("vit_giant_patch14_224", 1408, 40, 16, 14, 224, mlp: 6144, .half, crop: 0.9),
        Row("vit_gigantic_patch14_224", 1664, 48, 16, 14, 224, mlp: 8192, .half, crop: 0.9),
      ]),
    rows(
      [
        Row("eva_large_patch14_196", 1024, 24, 16, 14, 196, .clip, crop: 1),
        Row("eva_large_patch14_336", 1024, 24, 16, 14, 336, .clip, crop: 1, squashes: true),
      ]) { $0.pool = .average },
    rows(
      [
        Row("flexivit_base", 768, 12, 12, 16, 240, .half, crop: 0.95),
        Row("flexivit_large", 1024, 24, 16, 16, 240, .half, crop: 0.95),
        Row("flexivit_small", 384, 12, 6, 16, 240, .half, crop: 0.95),
      ]) { $0.positions = .patches },
    rows(
      [
        Row("test_vit2", 64, 8, 2, 16, 160, mlp: 192, .half, crop: 0.95)
      ]) {
        $0.layerScale = true
        $0.classToken = false
        $0.registers = 1
        $0.positions = .all
        $0.pool = .average
      },
    rows(
      [
        Row("test_vit3", 96, 9, 3, 16, 160, mlp: 192, .half, crop: 0.95)
      ]) {
        $0.layerScale = true
        $0.classToken = false
        $0.registers = 1
        $0.positions = .all
        $0.poolsPrefix = true
        $0.pool = .attention
      },
    rows(
      [
        Row("vit_base_patch16_plus_240", 896, 12, 14, 16, 240, .half, crop: 0.95),
        Row("vit_base_patch32_plus_256", 896, 12, 14, 32, 256, .half, crop: 0.95),
        Row("vit_small_patch16_36x1_224", 384, 36, 6, 16, 224, .half, crop: 0.9),
      ]) { $0.layerScale = true },
    rows(
      [
        Row("vit_base_patch14_reg1_tipsv2", 768, 12, 12, 14, 448, classes: 0, .none, crop: 1),
        Row("vit_large_patch14_reg1_tipsv2", 1024, 24, 16, 14, 448, classes: 0, .none, crop: 1),
        Row(
          "vit_so400m_patch14_reg1_tipsv2", 1152, 27, 16, 14, 448, classes: 0, mlp: 4304, .none,
          crop: 1),
      ]) {
        $0.layerScale = true
        $0.registers = 1
        $0.positions = .patches
      },
    rows(
      [
        Row(
          "vit_base_patch16_224_miil", 768, 12, 12, 16, 224, classes: 11221, .none, crop: 0.875,
          .bilinear)
      ]) { $0.qkvBias = false },
    rows(
      [
        Row("vit_base_patch16_clip_224", 768, 12, 12, 16, 224, .clip, crop: 0.95),
        Row("vit_base_patch16_clip_384", 768, 12, 12, 16, 384, .clip, crop: 1, squashes: true),
        Row("vit_base_patch16_plus_clip_240", 896, 12, 14, 16, 240, classes: 640, .clip, crop: 1),
        Row("vit_base_patch32_clip_224", 768, 12, 12, 32, 224, .clip, crop: 0.9),
        Row("vit_base_patch32_clip_256", 768, 12, 12, 32, 256, classes: 512, .clip, crop: 1),
        Row("vit_base_patch32_clip_384", 768, 12, 12, 32, 384, .clip, crop: 1),
        Row("vit_base_patch32_clip_448", 768, 12, 12, 32, 448, .clip, crop: 1),
        Row("vit_betwixt_patch32_clip_224", 640, 12, 10, 32, 224, classes: 512, .clip, crop: 0.9),
        Row(
          "vit_giant_patch14_clip_224", 1408, 40, 16, 14, 224, classes: 1024, mlp: 6144, .clip,
          crop: 1),
        Row(
          "vit_gigantic_patch14_clip_224", 1664, 48, 16, 14, 224, classes: 1280, mlp: 8192, .clip,
          crop: 1),
        Row(
          "vit_gigantic_patch14_clip_378", 1664, 48, 16, 14, 378, classes: 1280, mlp: 8192, .clip,
          crop: 1, squashes: true),
        Row("vit_huge_patch14_clip_224", 1280, 32, 16, 14, 224, .clip, crop: 1),
        Row("vit_huge_patch14_clip_336", 1280, 32, 16, 14, 336, .clip, crop: 1, squashes: true),
        Row("vit_huge_patch14_clip_378", 1280, 32, 16, 14, 378, classes: 1024, .clip, crop: 1),
        Row("vit_large_patch14_clip_224", 1024, 24, 16, 14, 224, .half, crop: 1),
        Row("vit_large_patch14_clip_336", 1024, 24, 16, 14, 336, .half, crop: 1, squashes: true),
        Row("vit_medium_patch16_clip_224", 512, 12, 8, 16, 224, classes: 512, .clip, crop: 0.9),
        Row("vit_medium_patch32_clip_224", 512, 12, 8, 32, 224, classes: 512, .clip, crop: 0.9),
        Row("vit_xsmall_patch16_clip_224", 256, 10, 4, 16, 224, classes: 512, .clip, crop: 0.9),
      ]) {
        $0.epsilon = 1e-5
        $0.preNorm = true
        $0.patchBias = false
      },
    rows(
      [
        Row(
          "vit_base_patch16_clip_quickgelu_224", 768, 12, 12, 16, 224, classes: 512, .clip, crop: 1),
        Row(
          "vit_base_patch32_clip_quickgelu_224", 768, 12, 12, 32, 224, classes: 512, .clip,
          crop: 0.9),
        Row(
          "vit_gigantic_patch14_clip_quickgelu_224", 1664, 48, 16, 14, 224, classes: 1280,
          mlp: 8192, .clip, crop: 1),
        Row(
          "vit_huge_patch14_clip_quickgelu_224", 1280, 32, 16, 14, 224, classes: 1024, .clip,
          crop: 1),
        Row(
          "vit_huge_patch14_clip_quickgelu_378", 1280, 32, 16, 14, 378, classes: 1024, .clip,
          crop: 1),
        Row(
          "vit_large_patch14_clip_quickgelu_224", 1024, 24, 16, 14, 224, classes: 768, .clip,
          crop: 1),
        Row(
          "vit_large_patch14_clip_quickgelu_336", 1024, 24, 16, 14, 336, classes: 768, .clip,
          crop: 1),
      ]) {
        $0.act = .quickGELU
        $0.epsilon = 1e-5
        $0.preNorm = true
        $0.patchBias = false
      },
    rows(
      [
        Row("vit_base_patch16_siglip_gap_224", 768, 12, 12, 16, 224, classes: 0, .half, crop: 0.9),
        Row("vit_base_patch16_siglip_gap_256", 768, 12, 12, 16, 256, classes: 0, .half, crop: 0.9),
        Row("vit_base_patch16_siglip_gap_384", 768, 12, 12, 16, 384, classes: 0, .half, crop: 0.9),
        Row("vit_base_patch16_siglip_gap_512", 768, 12, 12, 16, 512, classes: 0, .half, crop: 0.9),
        Row(
          "vit_giant_patch16_gap_224", 1408, 40, 16, 16, 224, classes: 0, mlp: 6144, .imageNet,
          crop: 0.9),
        Row("vit_huge_patch14_gap_224", 1280, 32, 16, 14, 224, classes: 0, .imageNet, crop: 0.9),
        Row("vit_huge_patch16_gap_448", 1280, 32, 16, 16, 448, classes: 0, .imageNet, crop: 1),
        Row(
          "vit_large_patch16_siglip_gap_256", 1024, 24, 16, 16, 256, classes: 0, .half, crop: 0.9),
        Row(
          "vit_large_patch16_siglip_gap_384", 1024, 24, 16, 16, 384, classes: 0, .half, crop: 0.9),
        Row(
          "vit_so400m_patch14_siglip_gap_224", 1152, 27, 16, 14, 224, classes: 0, mlp: 4304, .half,
          crop: 0.9),
        Row(
          "vit_so400m_patch14_siglip_gap_378", 1152, 27, 16, 14, 378, classes: 0, mlp: 4304, .half,
          crop: 0.9),
        Row(
          "vit_so400m_patch14_siglip_gap_384", 1152, 27, 16, 14, 384, classes: 0, mlp: 4304, .half,
          crop: 1),
        Row(
          "vit_so400m_patch14_siglip_gap_448", 1152, 27, 16, 14, 448, classes: 0, mlp: 4304, .half,
          crop: 1),
        Row(
          "vit_so400m_patch14_siglip_gap_896", 1152, 27, 16, 14, 896, classes: 0, mlp: 4304, .half,
          crop: 1),
      ]) {
        $0.classToken = false
        $0.pool = .normalisedAverage
      },
    rows(
      [
        Row("vit_base_patch16_reg4_gap_256", 768, 12, 12, 16, 256, .half, crop: 0.9)
      ]) {
        $0.classToken = false
        $0.registers = 4
        $0.positions = .patches
        $0.pool = .average
      },
    rows(
      [
        Row("vit_base_patch16_rpn_224", 768, 12, 12, 16, 224, .half, crop: 0.9)
      ]) {
        $0.norm = .resPost
        $0.qkvBias = false
        $0.classToken = false
        $0.pool = .average
      },
    rows(
      [
        Row("vit_base_patch16_siglip_256", 768, 12, 12, 16, 256, classes: 0, .half, crop: 0.9),
        Row("vit_base_patch16_siglip_384", 768, 12, 12, 16, 384, classes: 0, .half, crop: 0.9),
        Row("vit_base_patch16_siglip_512", 768, 12, 12, 16, 512, classes: 0, .half, crop: 0.9),
        Row("vit_large_patch16_siglip_256", 1024, 24, 16, 16, 256, classes: 0, .half, crop: 0.9),
        Row("vit_large_patch16_siglip_384", 1024, 24, 16, 16, 384, classes: 0, .half, crop: 0.9),
        Row(
          "vit_so400m_patch14_siglip_224", 1152, 27, 16, 14, 224, classes: 0, mlp: 4304, .half,
          crop: 0.9),
        Row(
          "vit_so400m_patch14_siglip_378", 1152, 27, 16, 14, 378, classes: 0, mlp: 4304, .half,
          crop: 0.9),
        Row(
          "vit_so400m_patch14_siglip_384", 1152, 27, 16, 14, 384, classes: 0, mlp: 4304, .half,
          crop: 0.9),
      ]) {
        $0.classToken = false
        $0.pool = .attention
      },
    rows(
      [
        Row("vit_base_patch32_siglip_256", 768, 12, 12, 32, 256, classes: 0, .half, crop: 0.9),
        Row("vit_giantopt_patch16_siglip_256", 1536, 40, 16, 16, 256, classes: 0, .half, crop: 0.9),
        Row("vit_giantopt_patch16_siglip_384", 1536, 40, 16, 16, 384, classes: 0, .half, crop: 0.9),
        Row("vit_large_patch16_siglip_512", 1024, 24, 16, 16, 512, classes: 0, .half, crop: 0.9),
        Row(
          "vit_so400m_patch16_siglip_256", 1152, 27, 16, 16, 256, classes: 0, mlp: 4304, .half,
          crop: 0.9),
        Row(
          "vit_so400m_patch16_siglip_384", 1152, 27, 16, 16, 384, classes: 0, mlp: 4304, .half,
          crop: 0.9),
        Row(
          "vit_so400m_patch16_siglip_512", 1152, 27, 16, 16, 512, classes: 0, mlp: 4304, .half,
          crop: 0.9),
      ]) {
        $0.act = .geluTanh
        $0.classToken = false
        $0.pool = .attention
      },
    rows(
      [
        Row("vit_base_patch32_siglip_gap_256", 768, 12, 12, 32, 256, classes: 0, .half, crop: 0.9),
        Row(
          "vit_giantopt_patch16_siglip_gap_256", 1536, 40, 16, 16, 256, classes: 0, .half, crop: 0.9
        ),
        Row(
          "vit_giantopt_patch16_siglip_gap_384", 1536, 40, 16, 16, 384, classes: 0, .half, crop: 0.9
        ),
        Row(
          "vit_large_patch16_siglip_gap_512", 1024, 24, 16, 16, 512, classes: 0, .half, crop: 0.9),
        Row(
          "vit_so400m_patch16_siglip_gap_256", 1152, 27, 16, 16, 256, classes: 0, mlp: 4304, .half,
          crop: 0.9),
        Row(
          "vit_so400m_patch16_siglip_gap_384", 1152, 27, 16, 16, 384, classes: 0, mlp: 4304, .half,
          crop: 0.9),
        Row(
          "vit_so400m_patch16_siglip_gap_512", 1152, 27, 16, 16, 512, classes: 0, mlp: 4304, .half,
          crop: 0.9),
      ]) {
        $0.act = .geluTanh
        $0.classToken = false
        $0.pool = .normalisedAverage
      },
    rows(
      [
        Row("vit_betwixt_patch16_gap_256", 640, 12, 10, 16, 256, .half, crop: 0.95),
        Row("vit_medium_patch16_gap_240", 512, 12, 8, 16, 240, classes: 11821, .half, crop: 0.95),
        Row("vit_medium_patch16_gap_256", 512, 12, 8, 16, 256, .half, crop: 0.95),
        Row("vit_medium_patch16_gap_384", 512, 12, 8, 16, 384, .half, crop: 0.95, squashes: true),
      ]) {
        $0.qkvBias = false
        $0.layerScale = true
        $0.classToken = false
        $0.pool = .normalisedAverage
      },
    rows(
      [
        Row("vit_betwixt_patch16_reg1_gap_256", 640, 12, 10, 16, 256, .half, crop: 0.95),
        Row("vit_dlittle_patch16_reg1_gap_256", 320, 14, 5, 16, 256, mlp: 1792, .half, crop: 0.95),
        Row("vit_dwee_patch16_reg1_gap_256", 256, 14, 4, 16, 256, mlp: 1280, .half, crop: 0.95),
        Row("vit_little_patch16_reg1_gap_256", 320, 14, 5, 16, 256, mlp: 1792, .half, crop: 0.95),
        Row("vit_medium_patch16_reg1_gap_256", 512, 12, 8, 16, 256, .half, crop: 0.95),
        Row("vit_wee_patch16_reg1_gap_256", 256, 14, 4, 16, 256, mlp: 1280, .half, crop: 0.95),
      ]) {
        $0.layerScale = true
        $0.classToken = false
        $0.registers = 1
        $0.positions = .patches
        $0.pool = .average
      },
    rows(
      [
        Row("vit_betwixt_patch16_reg4_gap_256", 640, 12, 10, 16, 256, .half, crop: 0.95),
        Row("vit_betwixt_patch16_reg4_gap_384", 640, 12, 10, 16, 384, .half, crop: 1),
        Row("vit_little_patch16_reg4_gap_256", 320, 14, 5, 16, 256, mlp: 1792, .half, crop: 0.95),
        Row("vit_medium_patch16_reg4_gap_256", 512, 12, 8, 16, 256, .half, crop: 0.95),
        Row("vit_mediumd_patch16_reg4_gap_256", 512, 20, 8, 16, 256, .half, crop: 0.95),
        Row("vit_mediumd_patch16_reg4_gap_384", 512, 20, 8, 16, 384, .half, crop: 1),
      ]) {
        $0.layerScale = true
        $0.classToken = false
        $0.registers = 4
        $0.positions = .patches
        $0.pool = .average
      },
    rows(
      [
        Row(
          "vit_giant_patch14_reg1_tipsv2", 1536, 40, 24, 14, 448, classes: 0, mlp: 4096, .none,
          crop: 1)
      ]) {
        $0.perceptron = .swiglu
        $0.layerScale = true
        $0.registers = 1
        $0.positions = .patches
      },
    rows(
      [
        Row("vit_so150m2_patch16_reg1_gap_256", 832, 21, 13, 16, 256, mlp: 2176, .half, crop: 1),
        Row("vit_so150m2_patch16_reg1_gap_384", 832, 21, 13, 16, 384, mlp: 2176, .half, crop: 1),
        Row(
          "vit_so150m2_patch16_reg1_gap_448", 832, 21, 13, 16, 448, mlp: 2176, .half, crop: 1,
          squashes: true),
      ]) {
        $0.qkvBias = false
        $0.layerScale = true
        $0.classToken = false
        $0.registers = 1
        $0.positions = .all
        $0.pool = .average
      },
    rows(
      [
        Row("vit_so150m_patch16_reg4_gap_256", 896, 18, 14, 16, 256, mlp: 2304, .half, crop: 0.95),
        Row("vit_so150m_patch16_reg4_gap_384", 896, 18, 14, 16, 384, mlp: 2304, .half, crop: 1),
      ]) {
        $0.classToken = false
        $0.registers = 4
        $0.positions = .all
        $0.pool = .normalisedAverage
      },
    rows(
      [
        Row("vit_so150m_patch16_reg4_map_256", 896, 18, 14, 16, 256, mlp: 2304, .half, crop: 0.9)
      ]) {
        $0.classToken = false
        $0.registers = 4
        $0.positions = .all
        $0.pool = .attention
      },
  ].flatMap { $0 }
}
