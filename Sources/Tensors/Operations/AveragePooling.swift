/// What the sum over a pooling window is divided by.
public enum PoolingDivisor: Sendable, Hashable {
  /// The places of the window within the map and its padding.
  case window
  /// The places of the window within the map.
  case inside
  /// A number.
  case fixed(Int)
}

extension ResamplingWeights {
  /// Means over windows of `kernel` places.
  fileprivate init(
    averaging size: Int, to count: Int, kernel: Int, stride: Int, before: Int, after: Int,
    _ divisor: PoolingDivisor, fixed: Double
  ) {
    self.init(
      count: size,
      rows: (0..<count).map { row in
        let first = row * stride - before
        let end = min(first + kernel, size + after)
        let inside = max(first, 0)..<max(max(first, 0), min(end, size))
        let total: Double
        switch divisor {
        case .window: total = Double(end - first)
        case .inside: total = Double(inside.count)
        case .fixed: total = fixed
        }
        return inside.map { ($0, 1 / total) }
      })
  }

  /// Means over `count` stretches that cover all places, as PyTorch's adaptive pools.
  fileprivate init(averaging size: Int, to count: Int) {
    self.init(
      count: size,
      rows: adaptiveStretches(size, count).map { stretch in
        stretch.map { ($0, 1 / Double(stretch.count)) }
      })
  }
}

/// `count` stretches that cover `size` places, and overlap where one is no multiple of the other.
private func adaptiveStretches(_ size: Int, _ count: Int) -> [Range<Int>] {
  (0..<count).map { $0 * size / count..<(($0 + 1) * size + count - 1) / count }
}

extension Tensor {
  /// Means over the windows of a map `[N, H, W, C]`, whose padding counts as zeros.
  ///
  /// - Precondition: the window fits, its taps lie side by side, and none lies wholly in the padding.
  public func averagePooled(_ window: SlidingWindow, divisor: PoolingDivisor = .window) -> Tensor {
    precondition(
      window.dilation == (1, 1) && max(window.top, window.bottom) < window.kernelHeight
        && max(window.left, window.right) < window.kernelWidth,
      "A pooling window \(window.kernel) that can lie wholly in the padding")
    let (height, width) = window.output(shape)
    let all = if case .fixed(let number) = divisor { Double(number) } else { 1.0 }
    return resampled(
      rows: ResamplingWeights(
        averaging: shape[1], to: height, kernel: window.kernelHeight,
        stride: window.stride.height, before: window.top, after: window.bottom, divisor,
        fixed: all),
      columns: ResamplingWeights(
        averaging: shape[2], to: width, kernel: window.kernelWidth, stride: window.stride.width,
        before: window.left, after: window.right, divisor, fixed: 1))
  }

  /// Means over stretches that cover a map `[N, H, W, C]`: `[N, height, width, C]`, as PyTorch's
  /// `adaptive_avg_pool2d`.
  ///
  /// - Precondition: the map has a place.
  public func averagePooled(height: Int, width: Int) -> Tensor {
    precondition(shape[1] > 0 && shape[2] > 0, "No means over \(shape)")
    if (height, width) == (shape[1], shape[2]) { return self }
    if (height, width) == (1, 1) {
      return globalAverage().reshaped([shape[0], 1, 1, shape[3]])
    }
    return resampled(
      rows: ResamplingWeights(averaging: shape[1], to: height),
      columns: ResamplingWeights(averaging: shape[2], to: width))
  }

  /// The largest values over stretches that cover a map `[N, H, W, C]`: `[N, height, width, C]`, as
  /// PyTorch's `adaptive_max_pool2d`.
  ///
  /// - Precondition: the map has a place.
  public func maxPooled(height: Int, width: Int) -> Tensor {
    precondition(shape[1] > 0 && shape[2] > 0, "Nothing is the largest of \(shape)")
    // Stretches side by side, the shorter ones filled up with their last place.
    func laidOut(_ x: Tensor, axis: Int, _ count: Int) -> (Tensor, length: Int) {
      let stretches = adaptiveStretches(x.shape[axis], count)
      let length = stretches.map(\.count).max() ?? 1
      let index = stretches.flatMap { stretch in
        (0..<length).map { Int32(min(stretch.lowerBound + $0, stretch.upperBound - 1)) }
      }
      let isWhole = index == Array(0..<Int32(x.shape[axis]))
      return (isWhole ? x : x.picked(axis: axis, index), length)
    }
    let (tall, rows) = laidOut(self, axis: 1, height)
    let (wide, columns) = laidOut(tall, axis: 2, width)
    return wide.maxPooled(SlidingWindow(kernel: (rows, columns), stride: (rows, columns)))
  }
}
