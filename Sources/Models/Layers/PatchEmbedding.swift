import Tensors

/// Patches of an image as tokens: a convolution whose stride is its kernel, keys `weight` `[D, C, p, p]`
/// and `bias`.
struct PatchEmbedding: Sendable {
  let patch: Int
  let weight: Tensor
  let bias: ChannelAffine

  init(_ scope: Scope, channels: Int, patch: Int, width: Int) throws(ParameterError) {
    self.patch = patch
    weight = try scope.weight("weight", [width, channels, patch, patch], layout: .convolution)
    bias = ChannelAffine(
      scale: Tensor(repeating: 1, shape: [width]),
      shift: try scope.weight("bias", [width], .constant(0)))
  }

  /// Images `[N, H, W, C]` as `[N, H / p, W / p, D]`.
  ///
  /// - Precondition: at least one patch fits.
  func callAsFunction(_ images: Tensor) -> Tensor {
    convolution(images, weight, window: SlidingWindow(kernel: patch, stride: patch), affine: bias)
  }
}
