import Tensors

/// A convolution without bias, key `weight` `[out, in / groups, k, k]`, and what follows it.
struct NormedConvolution: Sendable {
  let weight: Tensor
  let window: Window
  let groups: Int
  let dilation: Int
  let norm: ChannelAffine?

  /// - Parameters:
  ///   - norm: the scope of the batch normalisation that follows; nil if none does.
  ///   - groups: a divisor of both widths.
  ///   - dilation: with more than 1, the stride has to be 1.
  init(
    _ scope: Scope, norm: Scope?, _ inputs: Int, _ outputs: Int, kernel: Int, stride: Int = 1,
    padding: Int? = nil, groups: Int = 1, dilation: Int = 1
  ) throws(ParameterError) {
    weight = try scope.weight(
      "weight", [outputs, inputs / groups, kernel, kernel], layout: .convolution, .heFanOut)
    (self.groups, self.dilation) = (groups, dilation)
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
      return activation(raw(x) + residual)
    }
    return convolution(
      x, weight, window: window, groups: groups, dilation: dilation, affine: norm,
      residual: residual, activation: activation)
  }

  private func raw(_ x: Tensor) -> Tensor {
    convolution(x, weight, window: window, groups: groups, dilation: dilation)
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
    var y = context.tap(raw, self.raw(x))
    guard wantsNormed || norm == nil else {
      return norm.map { $0(y, residual: residual, activation: activation) } ?? y
    }
    if let norm { y = norm(y) }
    for tap in normed { y = context.tap(tap, y) }
    if let residual { y = y + residual }
    return activation(y)
  }
}
