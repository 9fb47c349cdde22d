import CKernels

/// The values where a mask is not 0, and zeros elsewhere. Inputs: the values and the mask, which repeats to
/// their shape and is not differentiated by.
struct Keep: Operation {
  func outputShape(_ x: [Shape]) -> Shape {
    _ = Broadcast(x[0], x[1])
    return x[0]
  }
  func forward(_ x: [Tensor], into y: Tensor) { combine(x[0], x[1], into: y, ck_keep) }
  func kept(needs: [Bool]) -> SavedValues { .second }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    [Keep()(dy, x[1]), nil]
  }
}

extension Tensor {
  /// The values where `mask` is not 0 and `other` elsewhere; both repeat by NumPy's rule, and so do the
  /// values.
  ///
  /// - Parameters:
  ///   - mask: constant; values that are left out count for nothing, be they infinite or no numbers.
  public func kept(where mask: Tensor, otherwise other: Float = 0) -> Tensor {
    guard let shape = Shape.broadcast(shape, mask.shape) else {
      preconditionFailure("A mask \(mask.shape) does not fit \(self.shape)")
    }
    let values = Keep()(expanded(to: shape), mask.detached())
    if other == 0 { return values }
    return values + mask.stepwise { $0 == 0 ? other : 0 }
  }

  /// The values of `self` where `mask` is not 0, and those of `other` elsewhere; see
  /// ``kept(where:otherwise:)``.
  public func kept(where mask: Tensor, otherwise other: Tensor) -> Tensor {
    let rest = mask.stepwise { $0 == 0 ? 1 : 0 }
    return kept(where: mask) + other.kept(where: rest)
  }
}

extension Tensor {
  /// The larger of two values; extents of 1 repeat by NumPy's rule. Of equal ones the first has the derivative.
  public static func maximum(_ a: Tensor, _ b: Tensor) -> Tensor {
    let isFirst = indicator(a, b) { $0 >= $1 || $0.isNaN }
    return a.kept(where: isFirst, otherwise: b)
  }

  /// The smaller of two values; see ``maximum(_:_:)``.
  public static func minimum(_ a: Tensor, _ b: Tensor) -> Tensor {
    let isFirst = indicator(a, b) { $0 <= $1 || $0.isNaN }
    return a.kept(where: isFirst, otherwise: b)
  }

  /// 1 where something holds for two values and 0 elsewhere; extents of 1 repeat by NumPy's rule. Without derivative.
  static func indicator(_ a: Tensor, _ b: Tensor, _ holds: (Float, Float) -> Bool) -> Tensor {
    guard let shape = Shape.broadcast(a.shape, b.shape) else {
      preconditionFailure("\(a.shape) and \(b.shape) do not fit")
    }
    let (x, y) = (a.detached().expanded(to: shape), b.detached().expanded(to: shape))
    if let meter = x.meter ?? y.meter { return Tensor(abstract: shape, meter: meter) }
    return Tensor(shape: shape) { result in
      x.withValues { x in
        y.withValues { y in
          for index in result.indices { result[index] = holds(x[index], y[index]) ? 1 : 0 }
        }
      }
    }
  }

  /// A function of each value that has no derivative.
  func stepwise(_ function: (Float) -> Float) -> Tensor {
    if isAbstract { return detached() }
    return Tensor(shape: shape) { result in
      withValues { for index in result.indices { result[index] = function($0[index]) } }
    }
  }
}
