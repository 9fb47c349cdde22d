import CKernels

/// `(x - mean) / sqrt(var + eps)` over the last axis, with the biased variance.
struct Normalize: Operation {
  let epsilon: Float
  func outputShape(_ x: [Shape]) -> Shape { x[0] }

  func forward(_ x: [Tensor], into y: Tensor) -> [Tensor] {
    // With two inputs more, gamma and beta are applied in the same sweep (never recorded).
    let affine = x.count == 3
    let (px, py, cols) = (DisjointWrites(x[0].pointer), DisjointWrites(y.pointer), y.shape.last)
    let gamma = affine ? DisjointWrites(x[1].pointer) : nil
    let beta = affine ? DisjointWrites(x[2].pointer) : nil
    forEachRowTile(of: y.shape) { first, count in
      ck_layer_norm(
        px + first * cols, gamma?.pointer, beta?.pointer, py + first * cols, count, cols, epsilon)
    }
    return []
  }

  func kept(needs: [Bool]) -> SavedValues { .first }
  func vjp(_ x: [Tensor], _ y: Tensor, _ saved: [Tensor], _ dy: Tensor, needs: [Bool])
    -> [(any Cotangent)?]
  { [NormalizeGradient(epsilon: epsilon)(x[0], dy)] }
}

/// `J(x) h`, where `J` is the (symmetric) Jacobian of ``Normalize`` at `x`, row by row.
struct NormalizeGradient: Operation {
  let epsilon: Float
  func outputShape(_ x: [Shape]) -> Shape { x[0] }

  func forward(_ x: [Tensor], into y: Tensor) -> [Tensor] {
    let (px, ph, py) = (
      DisjointWrites(x[0].pointer), DisjointWrites(x[1].pointer), DisjointWrites(y.pointer)
    )
    let cols = y.shape.last
    forEachRowTile(of: y.shape) { first, count in
      let at = first * cols
      ck_normalise_gradient(px + at, ph + at, py + at, count, cols, epsilon)
    }
    return []
  }

  func kept(needs: [Bool]) -> SavedValues { needs[0] ? [.first, .second] : .first }

  /// With n the normalised row, D its length and 1/s the reciprocal deviation,
  /// `u·Jh = (u·h - D ū h̄ - (u·n)(n·h)/D) / s`; `J` is symmetric, so `h` gets `J u`, and `x` gets
  /// `-(n (u·Jh) + (n·h) J u + (u·n) J h) / (D s)`.
  func vjp(_ x: [Tensor], _ y: Tensor, _ saved: [Tensor], _ u: Tensor, needs: [Bool])
    -> [(any Cotangent)?]
  {
    guard needs[0] else { return [nil, self(x[0], u)] }
    if x[0].isTracked || x[1].isTracked || u.isTracked {
      return Tensors.vjp(ofSteps: steps, at: x, u)
    }
    let (cx, ch) = (Tensor(uninitialized: x[0].shape), Tensor(uninitialized: x[0].shape))
    let (px, ph, pu) = (
      DisjointWrites(x[0].pointer), DisjointWrites(x[1].pointer), DisjointWrites(u.pointer)
    )
    let (qx, qh, cols) = (DisjointWrites(cx.pointer), DisjointWrites(ch.pointer), u.shape.last)
    forEachRowTile(of: u.shape) { first, count in
      let at = first * cols
      ck_normalise_curvature(px + at, ph + at, pu + at, qx + at, qh + at, count, cols, epsilon)
    }
    return [cx, needs[1] ? ch : nil]
  }

  /// `(h - h̄ - n (n·h)/D) / s`.
  private func steps(_ x: [Tensor]) -> Tensor {
    let (n, h, count) = (Normalize(epsilon: epsilon)(x[0]), x[1], Float(x[0].shape.last))
    func mean(_ a: Tensor) -> Tensor { (-1 / count) * a.sum(axis: -1, keepingAxis: true) }
    return (h + mean(h) + n * mean(n * h)) * RowRstd(epsilon: epsilon)(x[0])
  }
}

/// `1 / sqrt(var + eps)` of each row, `[..., D]` to `[..., 1]`.
struct RowRstd: Operation {
  let epsilon: Float
  func outputShape(_ x: [Shape]) -> Shape { x[0].replacingLast(1) }
  func forward(_ x: [Tensor], into y: Tensor) -> [Tensor] {
    let (px, py, cols) = (DisjointWrites(x[0].pointer), DisjointWrites(y.pointer), x[0].shape.last)
    forEachRowTile(of: x[0].shape) { first, count in
      ck_row_rstd(px + first * cols, py + first, count, cols, epsilon)
    }
    return []
  }
  func kept(needs: [Bool]) -> SavedValues { [.first, .output] }
  func vjp(_ x: [Tensor], _ y: Tensor, _ saved: [Tensor], _ dy: Tensor, needs: [Bool])
    -> [(any Cotangent)?]
  {
    // d(1/s) = -(1/s)^2 n dx / D
    let factor = (-1 / Float(x[0].shape.last)) * (dy * (y * y))
    return [Normalize(epsilon: epsilon)(x[0]) * factor]
  }
}

/// Tiles of whole rows, about 2^18 values each.
func forEachRowTile(of shape: Shape, _ body: @Sendable (_ first: Int, _ count: Int) -> Void) {
  Threads.forEachTile(of: shape.rows, target: max(1, (1 << 18) / max(1, shape.last)), body)
}

extension Tensor {
  /// Layer normalisation over the last axis: `gamma (x - mean) / sqrt(var + epsilon) + beta`.
  ///
  /// - Parameters:
  ///   - gamma, beta: `[D]`.
  public func layerNorm(gamma: Tensor, beta: Tensor, epsilon: Float) -> Tensor {
    let operation = Normalize(epsilon: epsilon)
    if isTracked || gamma.isTracked || beta.isTracked { return operation(self) * gamma + beta }
    return operation(self, gamma, beta)
  }
}
