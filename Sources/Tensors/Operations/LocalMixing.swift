import CKernels

/// What every local layer does: `y[n, p, c] = Σ_u w[n, p, u, g(c)] x[n, s p + u - pad, c]`, zeros outside
/// the map, channels in groups of neighbours. Inputs: a map `[N, H, W, C]` and weights `[N, P, K, G]` of P
/// places, K taps row by row and G groups; N or P of 1 stand for weights that all images or all places share.
///
/// A depth-wise convolution has weights `[1, 1, K, C]`, a dynamic one `[N, 1, K, C]`, an involution
/// `[N, P, K, G]`, local attention the softmax of ``LocalCorrelation`` of queries and keys. The sum is linear
/// in each of map, weights and cotangent; with its two adjoints it is closed under differentiation.
struct LocalMixing: Operation {
  let window: SlidingWindow

  func outputShape(_ x: [Shape]) -> Shape {
    let (height, width) = window.output(x[0])
    precondition(
      x[1].rank == 4 && [1, x[0][0]].contains(x[1][0]) && [1, height * width].contains(x[1][1])
        && x[1][2] == window.taps && x[1][3] > 0 && x[0][3].isMultiple(of: x[1][3]),
      "Weights \(x[1]) do not fit a map \(x[0]) under a window \(window.kernel)")
    return [x[0][0], height, width, x[0][3]]
  }
  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int { y.count.times(window.taps) }

  func forward(_ x: [Tensor], into y: Tensor) { sweep(x[0], x[1], into: y) { _, _ in } }

  /// - Parameters:
  ///   - finish: what follows, on rows of the result while they are in cache: the number of the first among
  ///     those of all images, and how many.
  func sweep(
    _ map: Tensor, _ weights: Tensor, into y: Tensor,
    _ finish: @Sendable (_ first: Int, _ count: Int) -> Void
  ) {
    let (geometry, layout) = (window.geometry(map.shape), weights.shape.localWeights)
    let (px, pw, py) = (map.memory, weights.memory, y.memory)
    forEachMapRow(of: y.shape) { first, count in
      withUnsafePointers(geometry, layout) {
        ck_local_mix(px.pointer, pw.pointer, py.pointer, $0, $1, first, count)
      }
      finish(first, count)
    }
  }

  func kept(needs: [Bool]) -> SavedValues { .ofBilinear(needs) }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    [
      needs[0] ? LocalSpreading(window: window, map: x[0].shape)(dy, x[1]) : nil,
      needs[1] ? LocalCorrelation(window: window, weights: x[1].shape)(x[0], dy) : nil,
    ]
  }
}

/// The adjoint of ``LocalMixing`` in its map: what every place hands out to its window, added up. Inputs:
/// `[N, H', W', C]` and weights.
struct LocalSpreading: Operation {
  let window: SlidingWindow
  /// The shape of the result.
  let map: Shape

  func outputShape(_ x: [Shape]) -> Shape {
    let result = LocalMixing(window: window).outputShape([map, x[1]])
    precondition(x[0] == result, "\(x[0]) is not what a window makes of \(map)")
    return map
  }
  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int { x[0].count.times(window.taps) }

  func forward(_ x: [Tensor], into y: Tensor) {
    let (geometry, weights) = (window.geometry(map), x[1].shape.localWeights)
    let (px, pw, py) = (x[0].memory, x[1].memory, y.memory)
    forEachMapRow(of: map) { first, count in
      withUnsafePointers(geometry, weights) {
        ck_local_spread(px.pointer, pw.pointer, py.pointer, $0, $1, first, count)
      }
    }
  }

  func kept(needs: [Bool]) -> SavedValues { .ofBilinear(needs) }
  func vjp(_ x: [Tensor], _ y: Tensor, _ u: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    [
      needs[0] ? LocalMixing(window: window)(u, x[1]) : nil,
      needs[1] ? LocalCorrelation(window: window, weights: x[1].shape)(u, x[0]) : nil,
    ]
  }
}

/// The adjoint of ``LocalMixing`` in its weights: products of each place of the second input, `[N, H', W', C]`,
/// with the places of its window in the first, `[N, H, W, C]`, summed over the channels of a group; and over
/// images or places that share weights. Of queries and keys: the logits of local attention, 0 outside the map.
struct LocalCorrelation: Operation {
  let window: SlidingWindow
  /// The shape of the result.
  let weights: Shape

  func outputShape(_ x: [Shape]) -> Shape {
    let result = LocalMixing(window: window).outputShape([x[0], weights])
    precondition(x[1] == result, "\(x[1]) is not what a window makes of \(x[0])")
    return weights
  }
  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int { x[1].count.times(window.taps) }

  func forward(_ x: [Tensor], into y: Tensor) {
    let geometry = window.geometry(x[0].shape)
    // Images that share weights have a sum each first, added up in order.
    let sums =
      weights[0] == geometry.n
      ? y : Tensor(uninitialized: [geometry.n, weights[1], weights[2], weights[3]])
    let steps = sums.shape.localWeights
    let (px, py, pw) = (x[0].memory, x[1].memory, sums.memory)
    // Places that share weights are summed by one thread, from the first to the last.
    let unit = weights[1] == 1 ? geometry.oh : 1
    Threads.forEachTile(of: geometry.n * geometry.oh, target: max(4, unit), unit: unit) {
      first, count in
      withUnsafePointers(geometry, steps) {
        ck_local_correlate(px.pointer, py.pointer, pw.pointer, $0, $1, first, count)
      }
    }
    if weights[0] != geometry.n {
      ck_sum_axis(pw.pointer, y.memory.pointer, 1, geometry.n, y.shape.count)
    }
    withExtendedLifetime(sums) {}
  }

  func kept(needs: [Bool]) -> SavedValues { .ofBilinear(needs) }
  func vjp(_ x: [Tensor], _ y: Tensor, _ u: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    [
      needs[0] ? LocalSpreading(window: window, map: x[0].shape)(x[1], u) : nil,
      needs[1] ? LocalMixing(window: window)(x[0], u) : nil,
    ]
  }
}

/// Tiles of whole rows of maps `[N, H, W, C]`, about 2^14 values each, that stay in cache.
func forEachMapRow(
  of shape: Shape, _ body: @Sendable (_ first: Int, _ count: Int) -> Void
) {
  Threads.forEachTile(
    of: shape[0] * shape[1], target: max(1, (1 << 14) / max(1, shape[2] * shape[3])), body)
}

/// Weights `[out, kh, kw, 1]` of a convolution in groups of one channel, as those of ``LocalMixing``: `[1, 1, kh kw, out]`.
func depthwiseKernels(_ weight: Tensor) -> Tensor {
  weight.permuted([3, 1, 2, 0])
    .reshaped([1, 1, weight.shape[1] * weight.shape[2], weight.shape[0]])
}

extension Shape {
  /// Where weights `[N or 1, P or 1, K, G]` of an image and a place lie. Of one place, the step is 0 either way.
  fileprivate var localWeights: ck_local_weights {
    let place = self[2] * self[3]
    return ck_local_weights(
      groups: self[3], image_step: self[0] == 1 ? 0 : self[1] * place,
      place_step: self[1] == 1 ? 0 : place)
  }
}

extension SlidingWindow {
  /// How many places a window has.
  var taps: Int { kernelHeight * kernelWidth }
}

func withUnsafePointers<A, B>(
  _ a: A, _ b: B, _ body: (UnsafePointer<A>, UnsafePointer<B>) -> Void
) {
  withUnsafePointer(to: a) { a in withUnsafePointer(to: b) { body(a, $0) } }
}

extension Tensor {
  /// A map `[N, H, W, C]` whose places are made of their windows: `Σ_u w[n, p, u, g(c)] x[n, s p + u - pad, c]`.
  ///
  /// - Parameters:
  ///   - weights: `[N, P, K, G]`: of each image, place of the result, tap (row by row) and group of
  ///     neighbouring channels. N or P of 1: the same for all.
  public func locallyMixed(_ weights: Tensor, window: SlidingWindow) -> Tensor {
    LocalMixing(window: window)(self, weights)
  }

  /// Depth-wise convolution of a map `[N, H, W, C]` with weights `[kh, kw, C]`.
  public func depthwise(_ weight: Tensor, window: SlidingWindow) -> Tensor {
    precondition(
      weight.shape.dimensions == [window.kernelHeight, window.kernelWidth, shape[3]],
      "Depth-wise weights \(weight.shape) do not fit a map \(shape) under a window \(window.kernel)"
    )
    return locallyMixed(weight.reshaped([1, 1, window.taps, shape[3]]), window: window)
  }

  /// The products `[N, P, K, groups]` of each place of `queries` `[N, H', W', C]` with the places of its window
  /// in this map `[N, H, W, C]`, summed over the channels of a group; 0 outside the map.
  public func locallyCorrelated(with queries: Tensor, window: SlidingWindow, groups: Int) -> Tensor
  {
    let places = queries.shape[1] * queries.shape[2]
    return LocalCorrelation(
      window: window, weights: [shape[0], places, window.taps, groups])(self, queries)
  }
}
