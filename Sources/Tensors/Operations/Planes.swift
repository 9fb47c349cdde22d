import CKernels

/// A product over planes: `[N, P, ...]` and a matrix `[Q, P]` to `[N, Q, ...]`, or with its transpose from
/// `[N, Q, ...]` to `[N, P, ...]`. For attention maps `[N, heads, T, S]`, a 1x1 convolution over heads.
///
/// With ``PlaneMixWeightGradient`` closed under differentiation.
struct PlaneMix: Operation {
  var transposed = false

  func outputShape(_ x: [Shape]) -> Shape {
    precondition(
      x[0].rank >= 2 && x[1].rank == 2 && x[0][1] == x[1][transposed ? 0 : 1],
      "A matrix \(x[1]) does not fit planes \(x[0])")
    return x[0].replacing(axis: 1, with: x[1][transposed ? 1 : 0])
  }
  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int { y.count.times(x[0][1]) }

  func forward(_ x: [Tensor], into y: Tensor) -> [Tensor] {
    let (inputs, outputs) = (x[0].shape[1], y.shape[1])
    let size = y.shape.count / max(1, y.shape[0] * outputs)
    let ld = x[1].shape[1]
    let (px, pw, py) = (
      DisjointWrites(x[0].pointer), DisjointWrites(x[1].pointer), DisjointWrites(y.pointer)
    )
    Threads.forEach(x[0].shape[0]) { image in
      gemm(
        outputs, size, inputs, pw.pointer, lda: ld, transposeA: transposed,
        px + image * inputs * size, ldb: size, py + image * outputs * size, ldc: size)
    }
    return []
  }

  func kept(needs: [Bool]) -> SavedValues { .ofBilinear(needs) }
  func vjp(_ x: [Tensor], _ y: Tensor, _ saved: [Tensor], _ dy: Tensor, needs: [Bool])
    -> [(any Cotangent)?]
  {
    [
      needs[0] ? PlaneMix(transposed: !transposed)(dy, x[1]) : nil,
      needs[1] ? PlaneMixWeightGradient()(transposed ? x[0] : dy, transposed ? dy : x[0]) : nil,
    ]
  }
}

/// `sum_n a_n b_nᵀ` over planes: `[N, Q, ...]` and `[N, P, ...]` to `[Q, P]`.
struct PlaneMixWeightGradient: Operation {
  func outputShape(_ x: [Shape]) -> Shape { [x[0][1], x[1][1]] }
  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int { x[0].count.times(x[1][1]) }

  func forward(_ x: [Tensor], into y: Tensor) -> [Tensor] {
    let (images, q, p) = (x[0].shape[0], x[0].shape[1], x[1].shape[1])
    let size = x[0].shape.count / max(1, images * q)
    let partial = Tensor(uninitialized: [images, q * p])
    let (pa, pb, pp) = (
      DisjointWrites(x[0].pointer), DisjointWrites(x[1].pointer), DisjointWrites(partial.pointer)
    )
    Threads.forEach(images) { image in
      gemm(
        q, p, size, pa + image * q * size, lda: size, pb + image * p * size, ldb: size,
        transposeB: true, pp + image * q * p, ldc: p)
    }
    ck_sum_axis(partial.pointer, y.pointer, 1, images, q * p)
    withExtendedLifetime(partial) {}
    return []
  }

  func kept(needs: [Bool]) -> SavedValues { .ofBilinear(needs) }
  func vjp(_ x: [Tensor], _ y: Tensor, _ saved: [Tensor], _ u: Tensor, needs: [Bool])
    -> [(any Cotangent)?]
  {
    [
      needs[0] ? PlaneMix()(x[1], u) : nil,
      needs[1] ? PlaneMix(transposed: true)(x[0], u) : nil,
    ]
  }
}

/// Planes `[N, P, T, S]` under one `k x k` kernel each, `[P, k, k]`, zeros outside; or the adjoint of
/// that in the planes. Of an even kernel's padding, the smaller half stands first.
///
/// With ``PlaneDepthwiseWeightGradient`` closed under differentiation.
struct PlaneDepthwise: Operation {
  var isAdjoint = false

  func outputShape(_ x: [Shape]) -> Shape {
    precondition(
      x[0].rank == 4 && x[1].rank == 3 && x[1][0] == x[0][1] && x[1][1] == x[1][2],
      "Kernels \(x[1]) do not fit planes \(x[0])")
    return x[0]
  }
  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int { y.count.times(x[1][1] * x[1][2]) }

  func forward(_ x: [Tensor], into y: Tensor) -> [Tensor] {
    let (planes, rows, cols, k) = (y.shape[1], y.shape[2], y.shape[3], x[1].shape[1])
    let (px, pw, py) = (
      DisjointWrites(x[0].pointer), DisjointWrites(x[1].pointer), DisjointWrites(y.pointer)
    )
    let (size, flipped) = (rows * cols, Int32(isAdjoint ? 1 : 0))
    Threads.forEach(y.shape[0] * planes) { index in
      ck_plane_depthwise(
        px + index * size, size, 0, pw + index % planes * k * k, flipped, py + index * size, size,
        0,
        rows, 1, rows, cols, k)
    }
    return []
  }

  func kept(needs: [Bool]) -> SavedValues { .ofBilinear(needs) }
  func vjp(_ x: [Tensor], _ y: Tensor, _ saved: [Tensor], _ dy: Tensor, needs: [Bool])
    -> [(any Cotangent)?]
  {
    let gradient = PlaneDepthwiseWeightGradient(kernel: x[1].shape[1])
    return [
      needs[0] ? PlaneDepthwise(isAdjoint: !isAdjoint)(dy, x[1]) : nil,
      needs[1] ? (isAdjoint ? gradient(dy, x[0]) : gradient(x[0], dy)) : nil,
    ]
  }
}

/// The adjoint of ``PlaneDepthwise`` in its kernels: inputs the planes and `dy`.
struct PlaneDepthwiseWeightGradient: Operation {
  let kernel: Int
  func outputShape(_ x: [Shape]) -> Shape { [x[0][1], kernel, kernel] }
  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int { x[0].count.times(kernel * kernel) }

  func forward(_ x: [Tensor], into y: Tensor) -> [Tensor] {
    let shape = x[0].shape
    let (images, planes, rows, cols) = (shape[0], shape[1], shape[2], shape[3])
    let (k, size) = (kernel, rows * cols)
    let partial = Tensor(uninitialized: [images, y.shape.count])
    let (px, pd, pp) = (
      DisjointWrites(x[0].pointer), DisjointWrites(x[1].pointer), DisjointWrites(partial.pointer)
    )
    Threads.forEach(images * planes) { index in
      ck_plane_depthwise_weight_gradient(
        px + index * size, pd + index * size, pp + index * k * k, 1, rows, cols, k)
    }
    ck_sum_axis(partial.pointer, y.pointer, 1, images, y.shape.count)
    withExtendedLifetime(partial) {}
    return []
  }

  func kept(needs: [Bool]) -> SavedValues { .ofBilinear(needs) }
  func vjp(_ x: [Tensor], _ y: Tensor, _ saved: [Tensor], _ u: Tensor, needs: [Bool])
    -> [(any Cotangent)?]
  {
    [
      needs[0] ? PlaneDepthwise(isAdjoint: true)(x[1], u) : nil,
      needs[1] ? PlaneDepthwise()(x[0], u) : nil,
    ]
  }
}

/// `scale x + shift` with one value a plane; never recorded.
private struct PlaneAffine: Operation {
  func outputShape(_ x: [Shape]) -> Shape { x[0] }
  func forward(_ x: [Tensor], into y: Tensor) -> [Tensor] {
    let planes = y.shape[1]
    let size = y.shape.count / max(1, y.shape[0] * planes)
    let (px, py) = (DisjointWrites(x[0].pointer), DisjointWrites(y.pointer))
    let (scale, shift) = (DisjointWrites(x[1].pointer), DisjointWrites(x[2].pointer))
    Threads.forEach(y.shape[0] * planes) { index in
      let plane = index % planes
      ck_affine_scalar(
        px + index * size, (scale + plane).pointee, (shift + plane).pointee, py + index * size, size
      )
    }
    return []
  }
  func vjp(_ x: [Tensor], _ y: Tensor, _ saved: [Tensor], _ dy: Tensor, needs: [Bool])
    -> [(any Cotangent)?]
  {
    preconditionFailure("A fused affine map is never recorded")
  }
}

extension ChannelAffine {
  /// `scale x + shift` over the second axis of planes `[N, P, ...]`.
  public func onPlanes(_ x: Tensor) -> Tensor {
    guard [x, scale, shift].contains(where: \.isTracked) else {
      return PlaneAffine()(x, scale, shift)
    }
    return x.timesPlanes(scale).plusPlanes(shift)
  }
}

extension Tensor {
  /// Planes `[N, P, ...]` mixed by a matrix `[Q, P]`: `[N, Q, ...]`.
  public func mixedPlanes(_ matrix: Tensor) -> Tensor { PlaneMix()(self, matrix) }

  /// Planes `[N, P, T, S]` under one kernel each, `[P, k, k]`, zeros outside: of the same shape.
  public func depthwisePlanes(_ kernels: Tensor) -> Tensor { PlaneDepthwise()(self, kernels) }

  private func byPlane(_ values: Tensor, _ body: (Tensor, Tensor) -> Tensor) -> Tensor {
    let rows = shape[0] * shape[1]
    let seen = reshaped([rows, shape.count / max(1, rows)])
    return body(seen, values.repeated(shape[0]).reshaped([rows, 1])).reshaped(shape)
  }

  /// `x + v`, one value a plane.
  func plusPlanes(_ values: Tensor) -> Tensor { byPlane(values) { $0 + $1 } }

  /// `x v`, one value a plane.
  func timesPlanes(_ values: Tensor) -> Tensor { byPlane(values) { $0 * $1 } }
}
