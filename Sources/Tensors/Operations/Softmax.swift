import CKernels

/// Softmax over the last axis of `scale * x`.
struct Softmax: Operation {
  var scale: Float = 1
  func outputShape(_ x: [Shape]) -> Shape { x[0] }
  func forward(_ x: [Tensor], into y: Tensor) {
    let (px, py, cols) = (x[0].memory, y.memory, y.shape.last)
    forEachRowTile(of: y.shape) { first, count in
      ck_softmax(px + first * cols, py + first * cols, count, cols, scale)
    }
  }
  func kept(needs: [Bool]) -> SavedValues { .output }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    let dx = SoftmaxGradient()(y, dy)
    return [scale == 1 ? dx : scale * dx]
  }
}

/// `p (g - <p, g>)` row by row: the cotangent of a softmax with result `p`.
struct SoftmaxGradient: Operation {
  func outputShape(_ x: [Shape]) -> Shape { x[0] }
  func forward(_ x: [Tensor], into y: Tensor) {
    let (pp, pg, py) = (x[0].memory, x[1].memory, y.memory)
    let cols = y.shape.last
    forEachRowTile(of: y.shape) { first, count in
      let at = first * cols
      ck_softmax_gradient(pp + at, pg + at, py + at, count, cols)
    }
  }
  func kept(needs: [Bool]) -> SavedValues { needs[0] ? [.first, .second] : .first }
  func vjp(_ x: [Tensor], _ y: Tensor, _ u: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    let (p, g) = (x[0], x[1])
    func dot(_ a: Tensor, _ b: Tensor) -> Tensor { (a * b).sum(axis: -1, keepingAxis: true) }
    let dp: Tensor? = needs[0] ? u * g - u * dot(p, g) - g * dot(p, u) : nil
    return [dp, needs[1] ? self(p, u) : nil]
  }
}

/// `log(sum(exp(x)))` over the last axis, `[..., C]` to `[..., 1]`.
struct LogSumExp: Operation {
  func outputShape(_ x: [Shape]) -> Shape { x[0].replacingLast(1) }
  func forward(_ x: [Tensor], into y: Tensor) {
    ck_log_sum_exp(x[0].pointer, y.pointer, x[0].shape.rows, x[0].shape.last)
  }
  func kept(needs: [Bool]) -> SavedValues { .first }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    [Softmax()(x[0]) * dy]
  }
}

extension Tensor {
  /// Softmax over the last axis of `scale * self`.
  public func softmax(scale: Float = 1) -> Tensor { Softmax(scale: scale)(self) }

  /// Softmax along an axis.
  public func softmax(axis: Int) -> Tensor { alongLast(axis) { $0.softmax() } }

  /// The logarithm of the softmax along an axis.
  public func logSoftmax(axis: Int) -> Tensor { alongLast(axis) { $0 - $0.logSumExp() } }

  private func alongLast(_ axis: Int, _ body: (Tensor) -> Tensor) -> Tensor {
    body(movingAxis(axis, to: -1)).movingAxis(-1, to: axis)
  }

  /// `log(sum(exp(x)))` over the last axis, which stays with extent 1.
  public func logSumExp() -> Tensor { LogSumExp()(self) }
}
