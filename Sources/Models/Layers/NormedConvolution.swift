import Tensors

/// A convolution without bias, key `weight` `[out, in / groups, k, k]`, and what follows it.
struct NormedConvolution: Sendable {
  let weight: Tensor
  let window: SlidingWindow
  let groups: Int
  let norm: BatchNorm?

  /// - Parameters:
  ///   - norm: the scope of the batch normalisation that follows; nil if none does.
  ///   - groups: a divisor of both widths.
  ///   - dilation: how far apart the taps lie.
  init(
    _ scope: Scope, norm: Scope?, _ inputs: Int, _ outputs: Int, kernel: Int, stride: Int = 1,
    padding: Int? = nil, groups: Int = 1, dilation: Int = 1
  ) throws(ParameterError) {
    weight = try scope.weight(
      "weight", [outputs, inputs / groups, kernel, kernel], layout: .convolution, .heFanOut)
    self.groups = groups
    window = SlidingWindow(
      kernel: kernel, stride: stride, padding: dilation * (padding ?? kernel / 2),
      dilation: dilation)
    self.norm = try norm.map { scope throws(ParameterError) in try BatchNorm(scope, outputs) }
  }

  /// Offers the kernels of a convolution of more than one tap; of one that reads several channels at once, the
  /// magnitudes summed over these.
  ///
  /// - Parameters:
  ///   - map: the shape of the map that is read.
  func offer(_ map: Shape, _ context: Context, as tap: (Connections) -> Tap) {
    let (outputs, rows, columns) = (weight.shape[0], weight.shape[1], weight.shape[2])
    guard context.probe != nil, rows * columns > 1 else { return }
    let (inputs, taps) = (weight.shape[3], rows * columns)
    let places = window.extents(height: map[1], width: map[2]).map { $0.height * $0.width } ?? 0
    let described = Connections(
      height: map[1], width: map[2], support: .taps(window),
      declared: Connections.Declaration(
        .parameters, channels: outputs, isDense: inputs > 1, parameters: weight.shape.count,
        multiplyAdds: places * weight.shape.count))
    guard let look = context.inner(tap(described)) else { return }
    let kernels =
      inputs > 1 ? weight.abs().sum(axis: -1) : weight
    _ = look(kernels.reshaped([outputs, 1, taps]).repeated(map[0]))
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
        convolution(
          x, weight, window: window, groups: groups, beforeAffine: raw),
        residual: residual, activation: activation, normed: normed, context)
    }
    return convolution(
      x, weight, window: window, groups: groups, affine: norm?.folded,
      residual: residual, activation: activation, beforeAffine: raw, afterAffine: normed)
  }
}
