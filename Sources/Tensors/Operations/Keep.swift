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
    return values + mask.detached().mappedConstant { $0 == 0 ? other : 0 }
  }

  /// The values of `self` where `mask` is not 0, and those of `other` elsewhere; see
  /// ``kept(where:otherwise:)``.
  public func kept(where mask: Tensor, otherwise other: Tensor) -> Tensor {
    let rest = mask.detached().mappedConstant { $0 == 0 ? 1 : 0 }
    return kept(where: mask) + other.kept(where: rest)
  }

  /// A function of each value, which has no derivative.
  private func mappedConstant(_ function: (Float) -> Float) -> Tensor {
    if isAbstract { return self }
    return Tensor(shape: shape) { result in
      withValues { for index in result.indices { result[index] = function($0[index]) } }
    }
  }
}
