import Tensors

/// Batch normalisation over the last axis (Ioffe & Szegedy 2015), keys `weight`, `bias`, `running_mean`,
/// `running_var`: by the running statistics in evaluation, by those of the minibatch in training.
struct BatchNorm: Sendable {
  private static let epsilon: Float = 1e-5
  /// How much of a running statistic one minibatch replaces: PyTorch's default.
  private static let momentum: Float = 0.1

  private let scope: Scope
  private let gamma: Tensor
  private let beta: Tensor
  private let mean: Tensor
  private let variance: Tensor

  init(_ scope: Scope, _ channels: Int) throws(ParameterError) {
    self.scope = scope
    gamma = try scope.weight("weight", [channels], .constant(1))
    beta = try scope.weight("bias", [channels], .constant(0))
    mean = try scope.buffer("running_mean", [channels], .constant(0))
    variance = try scope.buffer("running_var", [channels], .constant(1))
  }

  /// What it is in evaluation: a scale and a shift.
  var folded: ChannelAffine {
    let scale = gamma * (variance + Self.epsilon).rsqrt()
    return ChannelAffine(scale: scale, shift: beta - mean * scale)
  }

  /// `activation(norm(x) + residual)`.
  ///
  /// - Parameters:
  ///   - normed: gets `norm(x)`; nil if nobody looks.
  func callAsFunction(
    _ x: Tensor, residual: Tensor? = nil, activation: Activation = .none, normed: InnerTap? = nil,
    _ context: Context
  ) -> Tensor {
    guard let training = context.training else {
      return folded(x, residual: residual, activation: activation, afterAffine: normed)
    }
    let count = Float(x.shape.rows)
    func average(_ y: Tensor) -> Tensor { y.reshaped([y.shape.rows, y.shape.last]).mean(axis: 0) }
    let mean = average(x)
    let centred = x - mean
    let variance = average(centred * centred)
    // The running variance is an unbiased estimate, that of the minibatch is not: as in PyTorch.
    let unbiased = (count / max(1, count - 1)) * variance
    for (name, running, now) in [
      ("running_mean", self.mean, mean), ("running_var", self.variance, unbiased),
    ] {
      training.buffers.update(
        scope.name(name),
        to: (1 - Self.momentum) * running.detached() + Self.momentum * now.detached())
    }
    let affine = ChannelAffine(scale: gamma * (variance + Self.epsilon).rsqrt(), shift: beta)
    return affine(centred, residual: residual, activation: activation, afterAffine: normed)
  }

  /// As above over the second axis of planes `[N, C, ...]`.
  func onPlanes(_ x: Tensor, _ context: Context) -> Tensor {
    guard context.training != nil else { return folded.onPlanes(x) }
    let axes = Array(0..<x.shape.rank)
    return self(x.permuted([0] + axes[2...] + [1]), context)
      .permuted([0, axes.count - 1] + axes[1..<(axes.count - 1)])
  }
}
