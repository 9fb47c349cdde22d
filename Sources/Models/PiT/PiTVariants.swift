extension PiTConfiguration {
  /// timm's names, the CIFAR-100 model of Park and Kim (2022), and the sizes of their own code.
  public static let variants: [ModelVariant<Self>] =
    sizes.flatMap { size in
      [false, true].map { distilled in
        ModelVariant(
          "pit_\(size.name)" + (distilled ? "_distilled" : "") + "_224",
          make(size) { $0.distilled = distilled }, .imageNet(224, crop: 0.9))
      }
    } + [
      ModelVariant(
        "pit_ti_cifar100",
        make(sizes[0]) {
          ($0.imageSize, $0.patch, $0.stride, $0.grid) = (32, 2, 1, 31)
          $0.classes = 100
        }, .cifar100)
    ]
    + sizes.map { size in
      ModelVariant(
        "hdv_pit_\(size.name)",
        make(size) {
          ($0.classPosition, $0.qkvBias, $0.epsilon) = (true, false, 1e-5)
          // Two of them have other perceptrons than the paper.
          if size.name == "xs" { $0.mlp = [384, 768, 1024] }
          if size.name == "b" { ($0.mlp, $0.patch, $0.grid) = ($0.dims, 16, 30) }
        }, .imageNet(224, crop: 0.875))
    }

  private typealias Size = (
    name: String, patch: Int, base: Int, heads: [Int], depths: [Int], grid: Int
  )

  private static let sizes: [Size] = [
    ("ti", 16, 32, [2, 4, 8], [2, 6, 4], 27), ("xs", 16, 48, [2, 4, 8], [2, 6, 4], 27),
    ("s", 16, 48, [3, 6, 12], [2, 6, 4], 27), ("b", 14, 64, [4, 8, 16], [3, 6, 4], 31),
  ]

  private static func make(_ size: Size, _ change: (inout Self) -> Void) -> Self {
    var c = Self()
    (c.patch, c.stride, c.grid) = (size.patch, size.patch / 2, size.grid)
    (c.heads, c.depths) = (size.heads, size.depths)
    c.dims = size.heads.map { size.base * $0 }
    c.mlp = c.dims.map { 4 * $0 }
    change(&c)
    return c
  }
}
