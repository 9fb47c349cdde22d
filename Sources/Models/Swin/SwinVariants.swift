extension SwinConfiguration {
  /// timm's and torchvision's names, and the CIFAR-100 model of Park and Kim (2022).
  public static let variants: [ModelVariant<Self>] =
    timm + s3 + torchvision + [
      ModelVariant(
        "swin_ti_cifar100",
        make(tiny) {
          ($0.patch, $0.imageSize, $0.classes, $0.qkvBias) = (1, 32, 100, false)
          ($0.window, $0.windows) = (4, [4, 4, 4, 4])
        }, .cifar100)
    ]

  private typealias Size = (name: String, dim: Int, depths: [Int], heads: [Int])

  private static let tiny: Size = ("tiny", 96, [2, 2, 6, 2], [3, 6, 12, 24])
  private static let small: Size = ("small", 96, [2, 2, 18, 2], [3, 6, 12, 24])
  private static let base: Size = ("base", 128, [2, 2, 18, 2], [4, 8, 16, 32])
  private static let large: Size = ("large", 192, [2, 2, 18, 2], [6, 12, 24, 48])

  private static let s3Base: Size = ("base", 96, [2, 2, 30, 2], [3, 6, 12, 24])

  private static func make(_ size: Size, _ change: (inout Self) -> Void = { _ in }) -> Self {
    var c = Self()
    (c.dim, c.depths, c.heads) = (size.dim, size.depths, size.heads)
    change(&c)
    return c
  }

  private static let timm: [ModelVariant<Self>] = [
    (tiny, 7, 224), (small, 7, 224), (base, 7, 224), (base, 12, 384), (large, 7, 224),
    (large, 12, 384),
  ].map { (size: Size, window: Int, image: Int) in
    ModelVariant(
      "swin_\(size.name)_patch4_window\(window)_\(image)",
      make(size) {
        ($0.imageSize, $0.window) = (Extents(image), window)
        $0.windows = [window, window, window, window]
      }, .imageNet(image, crop: image == 224 ? 0.9 : 1))
  }

  private static let s3: [ModelVariant<Self>] = [
    (tiny, [7, 7, 14, 7]), (small, [14, 14, 14, 7]),
    (s3Base, [7, 7, 14, 7]),
  ].map { (size: Size, windows: [Int]) in
    ModelVariant(
      "swin_s3_\(size.name)_224",
      make(size) { ($0.window, $0.windows) = (14, windows) }, .imageNet(224, crop: 0.9))
  }

  private static let torchvision: [ModelVariant<Self>] = [
    (tiny, 232), (small, 246), (base, 238),
  ].map { (size: Size, edge: Int) in
    var preprocessing = Preprocessing.imageNet(224, crop: 1)
    preprocessing.resize = .shortEdge(edge)
    return ModelVariant(
      "swin_\(size.name.prefix(1))", make(size) { $0.padding = .beforeShift }, preprocessing)
  }
}
