import CKernels

/// Depth-wise convolution, one kernel a channel: weights `[kh, kw, C]`.
struct Depthwise: Operation {
  let window: SlidingWindow
  func outputShape(_ x: [Shape]) -> Shape {
    precondition(
      x[1].dimensions == [window.kernelHeight, window.kernelWidth, x[0][3]],
      "Depth-wise weights \(x[1]) do not fit a map \(x[0]) under a window \(window.kernel)")
    let (oh, ow) = window.output(x[0])
    return [x[0][0], oh, ow, x[0][3]]
  }
  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int { y.count.times(x[1][0] * x[1][1]) }
  func forward(_ x: [Tensor], into y: Tensor) { sweep(x[0], x[1], into: y) { _, _ in } }

  /// - Parameters:
  ///   - finish: what follows, on rows of the result while they are in cache: the number of the first among
  ///     those of all images, and how many.
  func sweep(
    _ map: Tensor, _ weight: Tensor, into y: Tensor,
    _ finish: @Sendable (_ first: Int, _ count: Int) -> Void
  ) {
    let geometry = window.geometry(map.shape)
    let (px, pw, py) = (map.memory, weight.memory, y.memory)
    forEachMapRow(of: y.shape) { first, count in
      withUnsafePointer(to: geometry) {
        ck_depthwise(px.pointer, pw.pointer, py.pointer, $0, first, count)
      }
      finish(first, count)
    }
  }
  func kept(needs: [Bool]) -> SavedValues { .ofBilinear(needs) }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    [
      needs[0] ? DepthwiseInputGradient(window: window, input: x[0].shape)(dy, x[1]) : nil,
      needs[1] ? DepthwiseWeightGradient(window: window)(x[0], dy) : nil,
    ]
  }
}

/// The adjoint of ``Depthwise`` in its map: inputs `dy` and weights.
struct DepthwiseInputGradient: Operation {
  let window: SlidingWindow
  let input: Shape
  func outputShape(_ x: [Shape]) -> Shape { input }
  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int { x[0].count.times(x[1][0] * x[1][1]) }
  func forward(_ x: [Tensor], into y: Tensor) {
    let geometry = window.geometry(input)
    let (pd, pw, py) = (x[0].memory, x[1].memory, y.memory)
    forEachMapRow(of: input) { first, count in
      withUnsafePointer(to: geometry) {
        ck_depthwise_input_gradient(pd.pointer, pw.pointer, py.pointer, $0, first, count)
      }
    }
  }
  func kept(needs: [Bool]) -> SavedValues { .ofBilinear(needs) }
  func vjp(_ x: [Tensor], _ y: Tensor, _ u: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    [
      needs[0] ? Depthwise(window: window)(u, x[1]) : nil,
      needs[1] ? DepthwiseWeightGradient(window: window)(u, x[0]) : nil,
    ]
  }
}

/// The adjoint of ``Depthwise`` in its weights: inputs the map and `dy`.
struct DepthwiseWeightGradient: Operation {
  let window: SlidingWindow
  func outputShape(_ x: [Shape]) -> Shape { [window.kernelHeight, window.kernelWidth, x[0][3]] }
  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int { x[1].count.times(y[0] * y[1]) }
  func forward(_ x: [Tensor], into y: Tensor) {
    let geometry = window.geometry(x[0].shape)
    let images = x[0].shape[0]
    let partial = Tensor(uninitialized: [images, y.shape.count])
    let (px, pd, pp) = (x[0].memory, x[1].memory, partial.memory)
    let count = y.shape.count
    Threads.forEach(images) { image in
      withUnsafePointer(to: geometry) {
        ck_depthwise_weight_gradient(px.pointer, pd.pointer, pp + image * count, $0, image)
      }
    }
    ck_sum_axis(partial.pointer, y.pointer, 1, images, count)
    withExtendedLifetime(partial) {}
  }
  func kept(needs: [Bool]) -> SavedValues { .ofBilinear(needs) }
  func vjp(_ x: [Tensor], _ y: Tensor, _ u: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    [
      needs[0] ? DepthwiseInputGradient(window: window, input: x[0].shape)(x[1], u) : nil,
      needs[1] ? Depthwise(window: window)(x[0], u) : nil,
    ]
  }
}

/// Tiles of whole rows of maps `[N, H, W, C]`, about 2^14 values each, that stay in cache.
private func forEachMapRow(
  of shape: Shape, _ body: @Sendable (_ first: Int, _ count: Int) -> Void
) {
  Threads.forEachTile(
    of: shape[0] * shape[1], target: max(1, (1 << 14) / max(1, shape[2] * shape[3])), body)
}

/// Weights `[out, kh, kw, 1]` of groups of one channel, as those of ``Depthwise``.
func depthwiseKernels(_ weight: Tensor) -> Tensor {
  weight.permuted([3, 1, 2, 0])
    .reshaped([weight.shape[1], weight.shape[2], weight.shape[0]])
}

extension Tensor {
  /// Depth-wise convolution of a map `[N, H, W, C]` with weights `[kh, kw, C]`.
  public func depthwise(_ weight: Tensor, window: SlidingWindow) -> Tensor {
    Depthwise(window: window)(self, weight)
  }
}
