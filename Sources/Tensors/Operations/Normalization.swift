import CKernels

/// `(x - mean) / sqrt(var + eps)` over the last axis, with the biased variance.
struct Normalize: Operation {
  let epsilon: Float
  func outputShape(_ x: [Shape]) -> Shape { x[0] }
  func forward(_ x: [Tensor], into y: Tensor) { Self.sweep(x[0], epsilon: epsilon, into: y) }

  func kept(needs: [Bool]) -> SavedValues { .first }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    [NormalizeGradient(epsilon: epsilon)(x[0], dy)]
  }

  static func sweep(
    _ x: Tensor, gamma: Tensor? = nil, beta: Tensor? = nil, epsilon: Float, into y: Tensor
  ) {
    let (px, py, cols) = (x.memory, y.memory, y.shape.last)
    let gamma = gamma.map(\.memory)
    let beta = beta.map(\.memory)
    forEachRowTile(of: y.shape) { first, count in
      ck_layer_norm(
        px + first * cols, gamma?.pointer, beta?.pointer, py + first * cols, count, cols, epsilon)
    }
  }
}

/// A normalisation of rows with gamma and beta in one sweep.
struct FusedLayerNorm: FusedFunction {
  let x: Tensor
  let gamma: Tensor
  let beta: Tensor
  let epsilon: Float

  var inputs: [Tensor?] { [x, gamma, beta] }
  var outputShape: Shape {
    precondition(
      gamma.shape == [x.shape.last] && beta.shape == gamma.shape,
      "Scales \(gamma.shape) and offsets \(beta.shape) do not fit rows of \(x.shape)")
    return x.shape
  }
  func steps(_ inner: InnerTaps) -> Tensor { Normalize(epsilon: epsilon)(x) * gamma + beta }
  func sweep(into y: Tensor) {
    Normalize.sweep(x, gamma: gamma, beta: beta, epsilon: epsilon, into: y)
  }
}

/// `J(x) h`, where `J` is the (symmetric) Jacobian of ``Normalize`` at `x`, row by row.
struct NormalizeGradient: SweptOperation {
  let epsilon: Float
  func outputShape(_ x: [Shape]) -> Shape { x[0] }

  func forward(_ x: [Tensor], into y: Tensor) {
    let (px, ph, py) = (x[0].memory, x[1].memory, y.memory)
    let cols = y.shape.last
    forEachRowTile(of: y.shape) { first, count in
      let at = first * cols
      ck_normalise_gradient(px + at, ph + at, py + at, count, cols, epsilon)
    }
  }

  func kept(needs: [Bool]) -> SavedValues { needs[0] ? [.first, .second] : .first }

  /// With n the normalised row, D its length and 1/s the reciprocal deviation,
  /// `u·Jh = (u·h - D ū h̄ - (u·n)(n·h)/D) / s`; `J` is symmetric, so `h` gets `J u`, and `x` gets
  /// `-(n (u·Jh) + (n·h) J u + (u·n) J h) / (D s)`.
  func fasterCotangents(_ x: [Tensor], _ u: Tensor, needs: [Bool], recording: Bool)
    -> [(any Cotangent)?]?
  {
    guard needs[0] else { return [nil, self(x[0], u)] }
    if recording { return nil }
    let (cx, ch) = (Tensor(uninitialized: x[0].shape), Tensor(uninitialized: x[0].shape))
    let (px, ph, pu) = (x[0].memory, x[1].memory, u.memory)
    let (qx, qh, cols) = (cx.memory, ch.memory, u.shape.last)
    forEachRowTile(of: u.shape) { first, count in
      let at = first * cols
      ck_normalise_curvature(px + at, ph + at, pu + at, qx + at, qh + at, count, cols, epsilon)
    }
    return [cx, needs[1] ? ch : nil]
  }

  /// `(h - h̄ - n (n·h)/D) / s`.
  func steps(_ x: [Tensor]) -> Tensor {
    let (n, h, count) = (Normalize(epsilon: epsilon)(x[0]), x[1], Float(x[0].shape.last))
    func mean(_ a: Tensor) -> Tensor { (-1 / count) * a.sum(axis: -1, keepingAxis: true) }
    return (h + mean(h) + n * mean(n * h)) * RowRstd(epsilon: epsilon)(x[0])
  }
}

/// `1 / sqrt(var + eps)` of each row, `[..., D]` to `[..., 1]`.
struct RowRstd: Operation {
  let epsilon: Float
  func outputShape(_ x: [Shape]) -> Shape { x[0].replacingLast(1) }
  func forward(_ x: [Tensor], into y: Tensor) {
    let (px, py, cols) = (x[0].memory, y.memory, x[0].shape.last)
    forEachRowTile(of: x[0].shape) { first, count in
      ck_row_rstd(px + first * cols, py + first, count, cols, epsilon)
    }
  }
  func kept(needs: [Bool]) -> SavedValues { [.first, .output] }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
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
  ///   - gamma: `[D]`.
  ///   - beta: `[D]`.
  ///   - epsilon: what is added to the variance.
  public func layerNorm(gamma: Tensor, beta: Tensor, epsilon: Float) -> Tensor {
    FusedLayerNorm(x: self, gamma: gamma, beta: beta, epsilon: epsilon)()
  }
}
