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

/// Softmax of `scale * x` along an axis behind which there are others.
struct SoftmaxAlong: Operation {
  let axis: Int
  var scale: Float = 1
  func outputShape(_ x: [Shape]) -> Shape { x[0] }
  func forward(_ x: [Tensor], into y: Tensor) {
    let extents = y.shape.dimensions
    let (count, inner) = (extents[axis], extents[(axis + 1)...].reduce(1, *))
    let (px, py, each) = (x[0].memory, y.memory, count * inner)
    guard y.shape.count > 0 else { return }
    Threads.forEachTile(of: y.shape.count / each, target: max(1, (1 << 14) / each)) {
      ck_softmax_axis(px + $0 * each, py + $0 * each, $1, count, inner, scale)
    }
  }
  func kept(needs: [Bool]) -> SavedValues { .output }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    let dx = y * (dy - (y * dy).sum(axis: axis, keepingAxis: true))
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

  /// Softmax along an axis of `scale * self`.
  public func softmax(axis: Int, scale: Float = 1) -> Tensor {
    let axis = axis < 0 ? shape.rank + axis : axis
    return axis == shape.rank - 1
      ? softmax(scale: scale) : SoftmaxAlong(axis: axis, scale: scale)(self)
  }

  /// The logarithm of the softmax along an axis.
  public func logSoftmax(axis: Int) -> Tensor {
    let last = movingAxis(axis, to: -1)
    return (last - last.logSumExp()).movingAxis(-1, to: axis)
  }

  /// `log(sum(exp(x)))` over the last axis, which stays with extent 1.
  public func logSumExp() -> Tensor { LogSumExp()(self) }
}
