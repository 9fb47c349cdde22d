import CKernels

/// Sums from the first place of an axis to each, or from each to the last: the adjoint of one another.
struct CumulativeSum: Operation {
  let axis: Int
  var backward = false

  func outputShape(_ x: [Shape]) -> Shape { x[0] }
  func forward(_ x: [Tensor], into y: Tensor) {
    let (outer, count, inner) = x[0].shape.around(axis: axis)
    let (px, py) = (x[0].memory, y.memory)
    Threads.forEachTile(of: outer, target: max(1, (1 << 18) / max(1, count * inner))) {
      first, size in
      let at = first * count * inner
      ck_cumulative_sum(px + at, py + at, size, count, inner, backward ? 1 : 0)
    }
  }
  func kept(needs: [Bool]) -> SavedValues { [] }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    [CumulativeSum(axis: axis, backward: !backward)(dy)]
  }
}

extension Tensor {
  /// The sums along an axis up to and with each place, carried in Float64.
  public func cumulativeSum(axis: Int) -> Tensor {
    CumulativeSum(axis: axis < 0 ? shape.rank + axis : axis)(self)
  }
}
