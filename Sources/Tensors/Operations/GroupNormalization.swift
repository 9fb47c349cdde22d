extension Tensor {
  /// Layer normalisation over several of the last axes.
  ///
  /// - Parameters:
  ///   - axes: how many.
  ///   - gamma: of these axes' extents; nil for ones.
  ///   - beta: of these axes' extents; nil for zeros.
  public func layerNorm(axes: Int, gamma: Tensor?, beta: Tensor?, epsilon: Float) -> Tensor {
    let inner = Shape(Array(shape.dimensions.suffix(axes))).count
    let rows = reshaped([shape.count / max(1, inner), inner])
    let y: Tensor
    if let gamma, let beta {
      y = rows.layerNorm(
        gamma: gamma.reshaped([inner]), beta: beta.reshaped([inner]), epsilon: epsilon)
    } else {
      let scaled = gamma.map { Normalize(epsilon: epsilon)(rows) * $0.reshaped([inner]) }
      let plain = scaled ?? Normalize(epsilon: epsilon)(rows)
      y = beta.map { plain + $0.reshaped([inner]) } ?? plain
    }
    return y.reshaped(shape)
  }

  /// `gamma x / sqrt(mean(x²) + epsilon)` over several of the last axes.
  ///
  /// - Parameters:
  ///   - axes: how many.
  ///   - gamma: of these axes' extents; nil for ones.
  public func rmsNorm(axes: Int = 1, gamma: Tensor?, epsilon: Float) -> Tensor {
    let last = (0..<axes).map { -1 - $0 }
    let y = self * ((self * self).mean(axes: last, keepingAxes: true) + epsilon).rsqrt()
    return gamma.map { y * $0 } ?? y
  }

  /// Normalisation over groups of channels and all places: `[N, C, ...]` or channels last `[N, ..., C]`.
  /// With as many groups as channels, instance normalisation.
  ///
  /// - Parameters:
  ///   - axis: where the channels are: 1, or -1 for the last.
  ///   - gamma: `[C]`; nil for ones.
  ///   - beta: `[C]`; nil for zeros.
  /// - Precondition: the channels make that many groups.
  public func groupNorm(
    groups: Int, axis: Int = -1, gamma: Tensor? = nil, beta: Tensor? = nil, epsilon: Float
  ) -> Tensor {
    let channels = shape[axis]
    precondition(
      groups > 0 && channels.isMultiple(of: groups) && shape.rank > 1,
      "\(channels) channels do not make \(groups) groups")
    let (n, inner) = (shape[0], channels / groups)
    let places = shape.count / max(1, n * channels)
    let isLast = axis < 0 || axis == shape.rank - 1
    var y: Tensor
    if !isLast || groups == 1 {
      y = Normalize(epsilon: epsilon)(reshaped([n * groups, inner * places]))
    } else {
      let grouped = reshaped([n, places, groups, inner]).permuted([0, 2, 1, 3])
      y = Normalize(epsilon: epsilon)(grouped.reshaped([n * groups, places * inner]))
        .reshaped([n, groups, places, inner]).permuted([0, 2, 1, 3])
    }
    y = y.reshaped(shape)
    func laidOut(_ values: Tensor) -> Tensor {
      isLast
        ? values : values.reshaped(Shape([channels] + shape.dimensions.dropFirst(2).map { _ in 1 }))
    }
    if let gamma { y = y * laidOut(gamma) }
    if let beta { y = y + laidOut(beta) }
    return y
  }
}
