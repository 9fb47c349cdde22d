import Tensors

extension ChannelAffine {
  /// Batch normalisation in evaluation mode, folded from `weight`, `bias` and the running statistics.
  init(batchNorm scope: Scope, _ channels: Int, epsilon: Float = 1e-5) throws(ParameterError) {
    let gamma = try scope.weight("weight", [channels], .constant(1))
    let beta = try scope.weight("bias", [channels], .constant(0))
    let mean = try scope.buffer("running_mean", [channels], .constant(0))
    let variance = try scope.buffer("running_var", [channels], .constant(1))
    let scale = gamma * (variance + epsilon).rsqrt()
    self.init(scale: scale, shift: beta - mean * scale)
  }
}
