import Tensors

/// A convolution without bias, key `weight` `[out, in, k, k]`, and what follows it.
struct NormedConvolution: Sendable {
  let weight: Tensor
  let window: Window
  let norm: ChannelAffine?

  /// - Parameters:
  ///   - norm: the scope of the batch normalisation that follows; nil if none does.
  init(
    _ scope: Scope, norm: Scope?, _ inputs: Int, _ outputs: Int, kernel: Int, stride: Int = 1,
    padding: Int? = nil
  ) throws(ParameterError) {
    weight = try scope.weight(
      "weight", [outputs, inputs, kernel, kernel], layout: .convolution, .heFanOut)
    window = Window(kernel: kernel, stride: stride, padding: padding ?? kernel / 2)
    self.norm = try norm.map { scope throws(ParameterError) in
      try ChannelAffine(batchNorm: scope, outputs)
    }
  }

  /// `activation(norm(conv(x)) + residual)`, in one step.
  func callAsFunction(
    _ x: Tensor, activation: Activation = .none, residual: Tensor? = nil
  ) -> Tensor {
    if norm == nil, let residual {
      return activation(convolution(x, weight, window: window) + residual)
    }
    return convolution(
      x, weight, window: window, affine: norm, residual: residual, activation: activation)
  }

  /// The same arithmetic step by step, where somebody wants to see what lies between.
  ///
  /// - Parameters:
  ///   - raw: the tap of the convolution's result.
  ///   - normed: taps of the normalisation's result.
  func callAsFunction(
    _ x: Tensor, activation: Activation = .none, residual: Tensor? = nil, raw: Tap, normed: [Tap],
    _ context: Context
  ) -> Tensor {
    let wantsNormed = normed.contains { context.wants($0) }
    guard context.wants(raw) || wantsNormed else {
      return self(x, activation: activation, residual: residual)
    }
    var y = context.tap(raw, convolution(x, weight, window: window))
    guard wantsNormed || norm == nil else {
      return norm.map { $0(y, residual: residual, activation: activation) } ?? y
    }
    if let norm { y = norm(y) }
    for tap in normed { y = context.tap(tap, y) }
    if let residual { y = y + residual }
    return activation(y)
  }
}
