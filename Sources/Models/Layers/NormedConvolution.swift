import Tensors

/// A convolution without bias, key `weight` `[out, in, k, k]`, and what follows it.
struct NormedConvolution: Sendable {
  let weight: Tensor
  let window: SlidingWindow
  let norm: BatchNorm?

  /// - Parameters:
  ///   - norm: the scope of the batch normalisation that follows; nil if none does.
  init(
    _ scope: Scope, norm: Scope?, _ inputs: Int, _ outputs: Int, kernel: Int, stride: Int = 1,
    padding: Int? = nil
  ) throws(ParameterError) {
    weight = try scope.weight(
      "weight", [outputs, inputs, kernel, kernel], layout: .convolution, .heFanOut)
    window = SlidingWindow(kernel: kernel, stride: stride, padding: padding ?? kernel / 2)
    self.norm = try norm.map { scope throws(ParameterError) in try BatchNorm(scope, outputs) }
  }

  /// `activation(norm(conv(x)) + residual)`.
  ///
  /// - Parameters:
  ///   - raw: gets the convolution's result; nil if nobody looks.
  ///   - normed: gets what the residual is added to; nil if nobody looks.
  func callAsFunction(
    _ x: Tensor, activation: Activation = .none, residual: Tensor? = nil, raw: InnerTap? = nil,
    normed: InnerTap? = nil, _ context: Context
  ) -> Tensor {
    // In training, the normalisation has to see all of the convolution's result first.
    if let norm, context.training != nil {
      return norm(
        convolution(x, weight, window: window, beforeAffine: raw), residual: residual,
        activation: activation, normed: normed, context)
    }
    return convolution(
      x, weight, window: window, affine: norm?.folded, residual: residual, activation: activation,
      beforeAffine: raw, afterAffine: normed)
  }
}
