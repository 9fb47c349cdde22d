import CKernels

/// Max pooling of a channels-last map; padding counts as minus infinity.
struct MaxPool: Operation {
  let window: Window
  func outputShape(_ x: [Shape]) -> Shape {
    precondition(
      max(window.top, window.bottom) < window.kernelHeight
        && max(window.left, window.right) < window.kernelWidth,
      "A pooling window \(window.kernel) that can lie wholly in the padding")
    let (oh, ow) = window.output(x[0])
    return [x[0][0], oh, ow, x[0][3]]
  }
  func forward(_ x: [Tensor], into y: Tensor) -> [Tensor] {
    // The indices of the largest values, as 32-bit integers in a tensor's memory.
    let index = Tensor(uninitialized: y.shape)
    let geometry = window.geometry(x[0].shape)
    let (px, py) = (DisjointWrites(x[0].pointer), DisjointWrites(y.pointer))
    let at = DisjointWrites(
      UnsafeMutableRawPointer(index.pointer).assumingMemoryBound(to: Int32.self))
    Threads.forEach(x[0].shape[0]) { image in
      withUnsafePointer(to: geometry) {
        ck_max_pool(px.pointer, py.pointer, at.pointer, $0, image, 1)
      }
    }
    return [index]
  }
  func kept(needs: [Bool]) -> SavedValues { [] }
  func vjp(_ x: [Tensor], _ y: Tensor, _ saved: [Tensor], _ dy: Tensor, needs: [Bool])
    -> [(any Cotangent)?]
  { [ScatterIndexed(index: saved[0], result: x[0].shape)(dy)] }
}

/// Values put back where an index tensor says, per image; the adjoint of ``GatherIndexed``.
struct ScatterIndexed: Operation {
  let index: Tensor
  let result: Shape
  func outputShape(_ x: [Shape]) -> Shape { result }
  func forward(_ x: [Tensor], into y: Tensor) -> [Tensor] {
    let images = result[0]
    let (into, from) = (result.count / max(1, images), x[0].shape.count / max(1, images))
    let (px, py) = (DisjointWrites(x[0].pointer), DisjointWrites(y.pointer))
    let at = DisjointWrites(
      UnsafeMutableRawPointer(index.pointer).assumingMemoryBound(to: Int32.self))
    Threads.forEach(images) { image in
      ck_scatter_indexed(px + image * from, at + image * from, py + image * into, into, from, 1)
    }
    return []
  }
  func kept(needs: [Bool]) -> SavedValues { [] }
  func vjp(_ x: [Tensor], _ y: Tensor, _ saved: [Tensor], _ dy: Tensor, needs: [Bool])
    -> [(any Cotangent)?]
  { [GatherIndexed(index: index)(dy)] }
}

/// Values picked where an index tensor says, per image.
struct GatherIndexed: Operation {
  let index: Tensor
  func outputShape(_ x: [Shape]) -> Shape { index.shape }
  func forward(_ x: [Tensor], into y: Tensor) -> [Tensor] {
    let images = index.shape[0]
    let (from, into) = (x[0].shape.count / max(1, images), y.shape.count / max(1, images))
    let (px, py) = (DisjointWrites(x[0].pointer), DisjointWrites(y.pointer))
    let at = DisjointWrites(
      UnsafeMutableRawPointer(index.pointer).assumingMemoryBound(to: Int32.self))
    Threads.forEach(images) { image in
      ck_gather_indexed(px + image * from, at + image * into, py + image * into, from, into, 1)
    }
    return []
  }
  func kept(needs: [Bool]) -> SavedValues { [] }
  func vjp(_ x: [Tensor], _ y: Tensor, _ saved: [Tensor], _ dy: Tensor, needs: [Bool])
    -> [(any Cotangent)?]
  { [ScatterIndexed(index: index, result: x[0].shape)(dy)] }
}

/// Depth-wise convolution, one kernel a channel: weights `[kh, kw, C]`.
struct Depthwise: Operation {
  let window: Window
  func outputShape(_ x: [Shape]) -> Shape {
    precondition(
      x[1].dimensions == [window.kernelHeight, window.kernelWidth, x[0][3]],
      "Depth-wise weights \(x[1]) do not fit a map \(x[0]) under a window \(window.kernel)")
    let (oh, ow) = window.output(x[0])
    return [x[0][0], oh, ow, x[0][3]]
  }
  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int { y.count.times(x[1][0] * x[1][1]) }
  func forward(_ x: [Tensor], into y: Tensor) -> [Tensor] {
    let geometry = window.geometry(x[0].shape)
    let (px, pw, py) = (
      DisjointWrites(x[0].pointer), DisjointWrites(x[1].pointer), DisjointWrites(y.pointer)
    )
    Threads.forEach(x[0].shape[0]) { image in
      withUnsafePointer(to: geometry) {
        ck_depthwise(px.pointer, pw.pointer, py.pointer, $0, image, 1)
      }
    }
    return []
  }
  func kept(needs: [Bool]) -> SavedValues { .ofBilinear(needs) }
  func vjp(_ x: [Tensor], _ y: Tensor, _ saved: [Tensor], _ dy: Tensor, needs: [Bool])
    -> [(any Cotangent)?]
  {
    [
      needs[0] ? DepthwiseInputGradient(window: window, input: x[0].shape)(dy, x[1]) : nil,
      needs[1] ? DepthwiseWeightGradient(window: window)(x[0], dy) : nil,
    ]
  }
}

/// The adjoint of ``Depthwise`` in its map: inputs `dy` and weights.
struct DepthwiseInputGradient: Operation {
  let window: Window
  let input: Shape
  func outputShape(_ x: [Shape]) -> Shape { input }
  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int { x[0].count.times(x[1][0] * x[1][1]) }
  func forward(_ x: [Tensor], into y: Tensor) -> [Tensor] {
    let geometry = window.geometry(input)
    let (pd, pw, py) = (
      DisjointWrites(x[0].pointer), DisjointWrites(x[1].pointer), DisjointWrites(y.pointer)
    )
    Threads.forEach(input[0]) { image in
      withUnsafePointer(to: geometry) {
        ck_depthwise_input_gradient(pd.pointer, pw.pointer, py.pointer, $0, image, 1)
      }
    }
    return []
  }
  func kept(needs: [Bool]) -> SavedValues { .ofBilinear(needs) }
  func vjp(_ x: [Tensor], _ y: Tensor, _ saved: [Tensor], _ u: Tensor, needs: [Bool])
    -> [(any Cotangent)?]
  {
    [
      needs[0] ? Depthwise(window: window)(u, x[1]) : nil,
      needs[1] ? DepthwiseWeightGradient(window: window)(u, x[0]) : nil,
    ]
  }
}

/// The adjoint of ``Depthwise`` in its weights: inputs the map and `dy`.
struct DepthwiseWeightGradient: Operation {
  let window: Window
  func outputShape(_ x: [Shape]) -> Shape { [window.kernelHeight, window.kernelWidth, x[0][3]] }
  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int { x[1].count.times(y[0] * y[1]) }
  func forward(_ x: [Tensor], into y: Tensor) -> [Tensor] {
    let geometry = window.geometry(x[0].shape)
    let images = x[0].shape[0]
    let partial = Tensor(uninitialized: [images, y.shape.count])
    let (px, pd, pp) = (
      DisjointWrites(x[0].pointer), DisjointWrites(x[1].pointer), DisjointWrites(partial.pointer)
    )
    let count = y.shape.count
    Threads.forEach(images) { image in
      withUnsafePointer(to: geometry) {
        ck_depthwise_weight_gradient(px.pointer, pd.pointer, pp + image * count, $0, image, 1)
      }
    }
    ck_sum_axis(partial.pointer, y.pointer, 1, images, count)
    withExtendedLifetime(partial) {}
    return []
  }
  func kept(needs: [Bool]) -> SavedValues { .ofBilinear(needs) }
  func vjp(_ x: [Tensor], _ y: Tensor, _ saved: [Tensor], _ u: Tensor, needs: [Bool])
    -> [(any Cotangent)?]
  {
    [
      needs[0] ? DepthwiseInputGradient(window: window, input: x[0].shape)(x[1], u) : nil,
      needs[1] ? Depthwise(window: window)(x[0], u) : nil,
    ]
  }
}

extension Tensor {
  /// Max pooling of a map `[N, H, W, C]`.
  public func maxPooled(_ window: Window) -> Tensor { MaxPool(window: window)(self) }

  /// Depth-wise convolution of a map `[N, H, W, C]` with weights `[kh, kw, C]`.
  public func depthwise(_ weight: Tensor, window: Window) -> Tensor {
    Depthwise(window: window)(self, weight)
  }

  /// The mean over positions of a map `[N, H, W, C]` or a sequence `[N, T, C]`: `[N, C]`.
  public func globalAverage() -> Tensor {
    reshaped([shape[0], shape.count / max(1, shape[0] * shape.last), shape.last]).mean(axis: 1)
  }
}
