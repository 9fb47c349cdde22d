import CKernels

/// A map mixed by kernels that are a product of each place's own values: they are made for some rows of the map, used, and
/// forgotten.
struct FusedKernelMixing: FusedFunction {
  /// `[N, H, W, C]`.
  let x: Tensor
  /// What kernels are made of, `[N, H', W', R]`.
  let source: Tensor
  /// `[K G, R]`, the groups of a tap together.
  let expand: DenseWeights
  let window: SlidingWindow

  var inputs: [Tensor?] { [x, source, expand.weight, expand.bias] }

  private var kernels: Shape {
    let (places, values) = (source.shape[1] * source.shape[2], expand.weight.shape.rows)
    precondition(
      source.shape.last == expand.weight.shape.last && values.isMultiple(of: window.taps),
      "Kernels of \(window.taps) taps are not made of \(source.shape) by \(expand.weight.shape)")
    return [x.shape[0], places, window.taps, values / window.taps]
  }

  var outputShape: Shape { LocalMixing(window: window).outputShape([x.shape, kernels]) }

  var multiplyAdds: Int {
    source.shape.rows.times(expand.weight.shape.count)
      .plus(outputShape.count.times(window.taps))
  }

  func steps(_ inner: InnerTaps) -> Tensor {
    var made = linear(source, expand.weight, bias: expand.bias).reshaped(kernels)
    if let look = inner.maps {
      made = look(made.permuted([0, 3, 1, 2])).permuted([0, 2, 3, 1])
    }
    return x.locallyMixed(made, window: window)
  }

  func sweep(into y: Tensor) {
    let (geometry, kernels) = (window.geometry(x.shape), kernels)
    let (product, place) = (DenseStep(expand), kernels[2] * kernels[3])
    let layout = ck_local_weights(groups: kernels[3], image_step: 0, place_step: place)
    let (across, width) = (geometry.ow, source.shape.last)
    let (px, ps, py) = (x.memory, source.memory, y.memory)
    // Enough places for a product.
    Threads.forEachTile(of: geometry.n * geometry.oh, target: max(1, 64 / max(1, across))) {
      first, count in
      let made = ScratchMemory(.result, count * across * place)
      product.run(count * across, ps + first * across * width, made.pointer, residual: nil)
      for row in first..<(first + count) {
        // Where the kernels of the image would begin.
        let whole = made.pointer + (row - first - row % geometry.oh) * across * place
        withUnsafePointers(geometry, layout) {
          ck_local_mix(px.pointer, whole, py.pointer, $0, $1, row, 1)
        }
      }
    }
  }
}

extension Tensor {
  /// This map `[N, H, W, C]` mixed by kernels that each place makes of values of its own: `expand` of `source`.
  ///
  /// - Parameters:
  ///   - source: `[N, H', W', R]`, of the places of the result.
  ///   - expand: `[K G, R]` and its bias, the groups of a tap together.
  ///   - maps: gets the kernels, heads first, `[N, G, H' W', K]`; nil if nobody looks.
  /// - Returns: `[N, H', W', C]`.
  public func locallyMixed(
    byKernelsOf source: Tensor, expand: DenseWeights, window: SlidingWindow, maps: InnerTap? = nil
  ) -> Tensor {
    FusedKernelMixing(x: self, source: source, expand: expand, window: window)(
      InnerTaps(maps: maps))
  }
}
