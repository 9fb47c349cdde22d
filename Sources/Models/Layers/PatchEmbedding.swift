import Tensors

/// Patches of an image as tokens: a convolution whose stride is its kernel, keys `weight` `[D, C, p, p]`
/// and, if it has one, `bias`.
struct PatchEmbedding: Sendable {
  let patch: Int
  let weight: Tensor
  let bias: ChannelAffine?

  /// How many parameters it has.
  var parameterCount: Int { weight.shape.count + (bias?.shift.shape.count ?? 0) }

  init(
    _ scope: Scope, channels: Int, patch: Int, width: Int, bias hasBias: Bool = true
  ) throws(ParameterError) {
    self.patch = patch
    weight = try scope.weight("weight", [width, channels, patch, patch], layout: .convolution)
    bias =
      hasBias
      ? ChannelAffine(
        scale: Tensor(repeating: 1, shape: [width]),
        shift: try scope.weight("bias", [width], .constant(0))) : nil
  }

  /// Images `[N, H, W, C]` as `[N, H / p, W / p, D]`.
  ///
  /// - Precondition: at least one patch fits.
  func callAsFunction(_ images: Tensor) -> Tensor {
    convolution(images, weight, window: SlidingWindow(kernel: patch, stride: patch), affine: bias)
  }

  /// The same product, of patches that are normalised first over their values in the order row, column,
  /// channel.
  func callAsFunction(_ images: Tensor, norm: LayerNorm) -> Tensor {
    let (count, channels, width) = (images.shape[0], images.shape[3], weight.shape[0])
    let (rows, columns) = (images.shape[1] / patch, images.shape[2] / patch)
    let values = patch * patch * channels
    let patches = images.slice(axis: 1, start: 0, length: rows * patch)
      .slice(axis: 2, start: 0, length: columns * patch)
      .reshaped([count, rows, patch, columns, patch, channels]).permuted([0, 1, 3, 2, 4, 5])
      .reshaped([count, rows, columns, values])
    return linear(norm(patches), weight.reshaped([width, values]), bias: bias?.shift)
  }
}
