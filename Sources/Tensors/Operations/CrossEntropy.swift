extension Tensor {
  /// The cross-entropy of each row of logits with soft targets, `-sum(t log softmax(z))`.
  ///
  /// - Parameters:
  ///   - targets: probabilities, of the logits' shape `[N, C]`; not differentiated by.
  /// - Returns: `[N, 1]`.
  public func crossEntropy(targets: Tensor) -> Tensor {
    let weight = targets.sum(axis: -1, keepingAxis: true)
    return logSumExp() * weight - (self * targets).sum(axis: -1, keepingAxis: true)
  }
}
