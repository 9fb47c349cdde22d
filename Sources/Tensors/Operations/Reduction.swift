import CKernels

/// Tiles of columns for few results of many values each, in whole cache lines.
func forEachColumnTile(
  of cols: Int, rows: Int, _ body: @Sendable (_ first: Int, _ count: Int) -> Void
) {
  Threads.forEachTile(of: cols, target: max(64, (1 << 16) / max(1, rows)), unit: 64) {
    first, count in
    if count > 0 { body(first, count) }
  }
}

/// Sums over one run of axes: values seen as `[outer, count, inner]` become `[outer, inner]`, given
/// any shape of that many values. Sums are carried in Float64.
struct SumAxis: Operation {
  let outer: Int
  let count: Int
  let result: Shape
  private var inner: Int { outer == 0 ? 0 : result.count / outer }

  func outputShape(_ x: [Shape]) -> Shape {
    precondition(x[0].count == result.count.times(count), "Cannot sum \(x[0]) to \(result)")
    return result
  }

  func forward(_ x: [Tensor], into y: Tensor) {
    let (px, py) = (x[0].memory, y.memory)
    let (count, inner) = (count, inner)
    if outer == 1 {
      forEachColumnTile(of: inner, rows: count) { first, width in
        ck_sum_columns(px + first, py + first, count, width, inner)
      }
    } else {
      Threads.forEachTile(of: outer, target: max(1, (1 << 18) / max(1, count * inner))) {
        first, size in
        ck_sum_axis(px + first * count * inner, py + first * inner, size, count, inner)
      }
    }
  }

  func kept(needs: [Bool]) -> SavedValues { [] }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    [ExpandAxis(outer: outer, count: count, result: x[0].shape).deferred(dy)]
  }
}

/// The adjoint of ``SumAxis``: `[outer, inner]` repeated into `[outer, count, inner]`.
struct ExpandAxis: SummableOperation {
  let outer: Int
  let count: Int
  let result: Shape

  func outputShape(_ x: [Shape]) -> Shape {
    precondition(x[0].count.times(count) == result.count, "Cannot repeat \(x[0]) to \(result)")
    return result
  }

  func forward(_ x: [Tensor], into y: Tensor) {
    let inner = x[0].shape.count / max(1, outer)
    ck_expand_axis(x[0].pointer, y.pointer, outer, count, inner)
  }

  func forward(_ x: [Tensor], addingTo y: Tensor) {
    let inner = x[0].shape.count / max(1, outer)
    if outer == 1 {
      y.reshaped([count, inner]).accumulate(x[0].reshaped([inner]))
    } else if inner == 1 {
      y.reshaped([outer, count]).accumulate(x[0].reshaped([outer, 1]))
    } else {
      y.accumulate(apply(x))
    }
  }

  func kept(needs: [Bool]) -> SavedValues { [] }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    [SumAxis(outer: outer, count: count, result: x[0].shape)(dy)]
  }
}

extension Tensor {
  /// Sums over one axis; the axis stays with extent 1 if `keepingAxis`.
  public func sum(axis: Int, keepingAxis: Bool = false) -> Tensor {
    let (outer, count, _) = shape.around(axis: axis)
    var dimensions = shape.dimensions
    let axis = axis < 0 ? shape.rank + axis : axis
    if keepingAxis { dimensions[axis] = 1 } else { dimensions.remove(at: axis) }
    return SumAxis(outer: outer, count: count, result: Shape(dimensions))(self)
  }

  /// The mean over one axis; the axis stays with extent 1 if `keepingAxis`.
  public func mean(axis: Int, keepingAxis: Bool = false) -> Tensor {
    (1 / Float(shape[axis])) * sum(axis: axis, keepingAxis: keepingAxis)
  }

  /// Sums over several axes, negative ones counting from the end; they stay with extent 1 if `keepingAxes`.
  public func sum(axes: [Int], keepingAxes: Bool = false) -> Tensor {
    let kept = Shape(shape.without(axes, keeping: true))
    return Broadcast(shape, kept).reduced(
      self, to: Shape(shape.without(axes, keeping: keepingAxes)))
  }

  /// The mean over several axes; see ``sum(axes:keepingAxes:)``.
  public func mean(axes: [Int], keepingAxes: Bool = false) -> Tensor {
    (1 / Float(shape.count(of: axes))) * sum(axes: axes, keepingAxes: keepingAxes)
  }

  /// The variance over several axes, its sum divided by the number of values less `correction`.
  public func variance(axes: [Int], keepingAxes: Bool = false, correction: Float = 1) -> Tensor {
    let centred = self - mean(axes: axes, keepingAxes: true)
    return (1 / (Float(shape.count(of: axes)) - correction))
      * (centred * centred).sum(axes: axes, keepingAxes: keepingAxes)
  }

  /// The square root of the sum of squares over several axes. Where it is 0, so is its derivative.
  public func norm(axes: [Int], keepingAxes: Bool = false) -> Tensor {
    (self * self).sum(axes: axes, keepingAxes: keepingAxes).magnitude()
  }

  /// The values divided by their 2-norm over some axes, or by `epsilon` where that is larger.
  public func normalized(axes: [Int], epsilon: Float) -> Tensor {
    self / norm(axes: axes, keepingAxes: true).clamped(from: epsilon)
  }

  /// The sum of all values, a scalar.
  public func sum() -> Tensor { SumAxis(outer: 1, count: shape.count, result: [])(self) }

  /// The values repeated along a new leading axis.
  public func repeated(_ count: Int) -> Tensor {
    ExpandAxis(outer: 1, count: count, result: Shape([count] + shape.dimensions))(self)
  }
}

extension Shape {
  /// The extents without some axes, or with 1 in their places.
  func without(_ axes: [Int], keeping: Bool) -> [Int] {
    let named = Set(axes.map { $0 < 0 ? rank + $0 : $0 })
    precondition(named.allSatisfy { 0..<rank ~= $0 }, "No axes \(axes) in \(self)")
    return (0..<rank).compactMap { named.contains($0) ? (keeping ? 1 : nil) : self[$0] }
  }

  /// How many values there are over some axes.
  func count(of axes: [Int]) -> Int {
    Set(axes.map { $0 < 0 ? rank + $0 : $0 }).reduce(1) { $0.times(self[$1]) }
  }
}
