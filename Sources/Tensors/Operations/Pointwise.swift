import CKernels

/// GELU in its exact (erf) form, `x Φ(x)`, or its derivative of the given order.
struct GELU: Operation {
  var order = 0
  func outputShape(_ x: [Shape]) -> Shape { x[0] }
  func forward(_ x: [Tensor], into y: Tensor) {
    let (px, py) = (x[0].memory, y.memory)
    forEachPiece(of: y.shape.count) { first, count in
      ck_gelu(px + first, py + first, count, Int32(order))
    }
  }
  func kept(needs: [Bool]) -> SavedValues { .first }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    [GELUProduct(order: order + 1)(x[0], dy)]
  }
}

/// A derivative of GELU at the first input, times one or two others, in one sweep.
struct GELUProduct: Operation {
  let order: Int
  func outputShape(_ x: [Shape]) -> Shape {
    precondition(
      (2...3).contains(x.count) && x.allSatisfy { $0 == x[0] }, "\(x) are not of one shape")
    return x[0]
  }
  func forward(_ x: [Tensor], into y: Tensor) {
    let (px, pa, py) = (x[0].memory, x[1].memory, y.memory)
    let pb = x.count > 2 ? x[2].memory : nil
    forEachPiece(of: y.shape.count) { first, count in
      ck_gelu_product(
        px + first, pa + first, pb.map { $0 + first }, py + first, count, Int32(order))
    }
  }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    let next = GELUProduct(order: order + 1)
    if x.count == 2 {
      return [needs[0] ? next(x[0], x[1], dy) : nil, needs[1] ? self(x[0], dy) : nil]
    }
    return [
      needs[0] ? next(x[0], x[1] * x[2], dy) : nil, needs[1] ? self(x[0], x[2], dy) : nil,
      needs[2] ? self(x[0], x[1], dy) : nil,
    ]
  }
  func kept(needs: [Bool]) -> SavedValues {
    needs == [false, true] ? .first : [.first, .second, .input(2)]
  }
}

/// A function of one variable, applied to every value.
struct Pointwise: Operation {
  enum Function: Sendable {
    case relu, reluStep, relu6, relu6Step, sigmoid, exp, log, reciprocal, rsqrt

    var code: Int32 {
      switch self {
      case .relu: Int32(CK_FN_RELU)
      case .reluStep: Int32(CK_FN_RELU_STEP)
      case .relu6: Int32(CK_FN_RELU6)
      case .relu6Step: Int32(CK_FN_RELU6_STEP)
      case .sigmoid: Int32(CK_FN_SIGMOID)
      case .exp: Int32(CK_FN_EXP)
      case .log: Int32(CK_FN_LOG)
      case .reciprocal: Int32(CK_FN_RECIPROCAL)
      case .rsqrt: Int32(CK_FN_RSQRT)
      }
    }
  }

  let function: Function
  func outputShape(_ x: [Shape]) -> Shape { x[0] }
  func forward(_ x: [Tensor], into y: Tensor) {
    let (px, py, code) = (x[0].memory, y.memory, function.code)
    forEachPiece(of: y.shape.count) { first, count in
      ck_map(px + first, py + first, count, code)
    }
  }

  func kept(needs: [Bool]) -> SavedValues {
    switch function {
    case .log: .first
    case .reluStep, .relu6Step: []
    case .relu, .relu6, .sigmoid, .exp, .reciprocal, .rsqrt: .output
    }
  }

  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    switch function {
    // A rectifier's result shows as well as its input which piece is active.
    case .relu: return [dy * Pointwise(function: .reluStep)(y.detached())]
    case .relu6: return [dy * Pointwise(function: .relu6Step)(y.detached())]
    case .reluStep, .relu6Step: return [nil]
    case .sigmoid: return [dy * (y * (-1 * y + 1))]
    case .exp: return [dy * y]
    case .log: return [dy * Pointwise(function: .reciprocal)(x[0])]
    case .reciprocal: return [dy * (-1 * (y * y))]
    case .rsqrt: return [dy * (-0.5 * (y * y * y))]
    }
  }
}

extension Tensor {
  /// `x Φ(x)` with the exact normal distribution function (the erf form).
  public func gelu() -> Tensor { GELU()(self) }
  /// `max(x, 0)`.
  public func relu() -> Tensor { Pointwise(function: .relu)(self) }
  /// `min(max(x, 0), 6)`.
  public func relu6() -> Tensor { Pointwise(function: .relu6)(self) }
  /// `1 / (1 + exp(-x))`.
  public func sigmoid() -> Tensor { Pointwise(function: .sigmoid)(self) }
  /// `x sigmoid(x)`, also called swish.
  public func silu() -> Tensor { self * sigmoid() }
  /// `exp(x)`.
  public func exp() -> Tensor { Pointwise(function: .exp)(self) }
  /// The natural logarithm.
  public func log() -> Tensor { Pointwise(function: .log)(self) }
  /// `1 / x`.
  public func reciprocal() -> Tensor { Pointwise(function: .reciprocal)(self) }
  /// `1 / sqrt(x)`.
  public func rsqrt() -> Tensor { Pointwise(function: .rsqrt)(self) }
}
