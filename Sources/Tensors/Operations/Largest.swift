import CKernels

/// The largest value over the axes that have extent 1 in `kept`; a NaN is larger than all else. The
/// derivative is shared evenly by equal values, as in PyTorch's `amax`.
struct Largest: Operation {
  let kept: Shape

  func outputShape(_ x: [Shape]) -> Shape {
    precondition(x[0].count > 0 || kept.count == 0, "Nothing is the largest of \(x[0])")
    return kept
  }

  func forward(_ x: [Tensor], into y: Tensor) {
    var (values, extents) = (x[0].detached(), x[0].shape.dimensions)
    for axis in extents.indices where extents[axis] != kept[axis] {
      let outer = extents[..<axis].reduce(1, *)
      let (count, inner) = (extents[axis], extents[(axis + 1)...].reduce(1, *))
      extents[axis] = 1
      let result = Tensor(uninitialized: Shape(extents))
      let (px, py) = (values.memory, result.memory)
      Threads.forEachTile(of: outer, target: max(1, (1 << 18) / max(1, count * inner))) {
        first, size in
        ck_largest_of_axis(px + first * count * inner, py + first * inner, size, count, inner)
      }
      values = result
    }
    y.pointer.update(from: values.pointer, count: y.shape.count)
    withExtendedLifetime(values) {}
  }

  func kept(needs: [Bool]) -> SavedValues { [.first, .output] }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    let places = Tensor(uninitialized: x[0].shape)
    combine(x[0], y, into: places, ck_equal)
    let shares = Broadcast(x[0].shape, kept).reduced(places, to: kept).reciprocal()
    return [places * (shares * dy)]
  }
}

extension Tensor {
  /// The largest value over several axes, negative ones counting from the end; they stay with extent 1 if
  /// `keepingAxes`. The derivative is shared evenly by equal values.
  ///
  /// - Precondition: there is a value.
  public func maximum(axes: [Int], keepingAxes: Bool = false) -> Tensor {
    Largest(kept: Shape(shape.without(axes, keeping: true)))(self)
      .reshaped(Shape(shape.without(axes, keeping: keepingAxes)))
  }
}
