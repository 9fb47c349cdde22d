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
    case tanh, sqrt, sin, cos, abs, sign, erf, softplus
    /// The square root, whose derivative is taken to be 0 where it is 0.
    case magnitude
    /// `1 / x`, and 0 for 0.
    case reciprocalOrZero
    case power(Float)
    case leakyReLU(slope: Float)
    case leakyStep(slope: Float)
    case clamp(Float, Float)
    /// 1 between two values, these included, and 0 elsewhere.
    case clampStep(Float, Float)

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
      case .tanh: Int32(CK_FN_TANH)
      case .sqrt, .magnitude: Int32(CK_FN_SQRT)
      case .sin: Int32(CK_FN_SIN)
      case .cos: Int32(CK_FN_COS)
      case .abs: Int32(CK_FN_ABS)
      case .sign: Int32(CK_FN_SIGN)
      case .erf: Int32(CK_FN_ERF)
      case .softplus: Int32(CK_FN_SOFTPLUS)
      case .reciprocalOrZero: Int32(CK_FN_RECIPROCAL_OR_ZERO)
      case .power: Int32(CK_FN_POWER)
      case .leakyReLU: Int32(CK_FN_LEAKY_RELU)
      case .leakyStep: Int32(CK_FN_LEAKY_STEP)
      case .clamp: Int32(CK_FN_CLAMP)
      case .clampStep: Int32(CK_FN_CLAMP_STEP)
      }
    }

    /// What the function has besides its variable.
    var constants: (Float, Float) {
      switch self {
      case .power(let a), .leakyReLU(let a), .leakyStep(let a): (a, 0)
      case .clamp(let a, let b), .clampStep(let a, let b): (a, b)
      default: (0, 0)
      }
    }
  }

  let function: Function
  func outputShape(_ x: [Shape]) -> Shape { x[0] }
  func forward(_ x: [Tensor], into y: Tensor) {
    let (px, py, code, (a, b)) = (x[0].memory, y.memory, function.code, function.constants)
    forEachPiece(of: y.shape.count) { first, count in
      ck_map(px + first, py + first, count, code, a, b)
    }
  }

  func kept(needs: [Bool]) -> SavedValues {
    switch function {
    case .log, .sin, .cos, .abs, .erf, .softplus, .power, .leakyReLU, .clamp: .first
    case .reluStep, .relu6Step, .sign, .leakyStep, .clampStep: []
    case .relu, .relu6, .sigmoid, .exp, .reciprocal, .rsqrt, .tanh, .sqrt, .magnitude,
      .reciprocalOrZero:
      .output
    }
  }

  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    func map(_ function: Function, of x: Tensor) -> Tensor { Pointwise(function: function)(x) }
    switch function {
    // A rectifier's result shows as well as its input which piece is active.
    case .relu: return [dy * map(.reluStep, of: y.detached())]
    case .relu6: return [dy * map(.relu6Step, of: y.detached())]
    case .leakyReLU(let slope): return [dy * map(.leakyStep(slope: slope), of: x[0].detached())]
    case .clamp(let low, let high):
      return [dy * map(.clampStep(low, high), of: x[0].detached())]
    case .abs: return [dy * map(.sign, of: x[0].detached())]
    case .reluStep, .relu6Step, .sign, .leakyStep, .clampStep: return [nil]
    case .sigmoid: return [dy * (y * (-1 * y + 1))]
    case .tanh: return [dy * (-1 * (y * y) + 1)]
    case .exp: return [dy * y]
    case .log: return [dy * map(.reciprocal, of: x[0])]
    case .reciprocal, .reciprocalOrZero: return [dy * (-1 * (y * y))]
    case .rsqrt: return [dy * (-0.5 * (y * y * y))]
    case .sqrt: return [dy * (0.5 * map(.reciprocal, of: y))]
    case .magnitude: return [dy * (0.5 * map(.reciprocalOrZero, of: y))]
    case .sin: return [dy * map(.cos, of: x[0])]
    case .cos: return [dy * (-1 * map(.sin, of: x[0]))]
    // 2 / sqrt(pi) exp(-x^2)
    case .erf: return [dy * (1.1283791670955126 * map(.exp, of: -1 * (x[0] * x[0])))]
    case .softplus: return [dy * map(.sigmoid, of: x[0])]
    case .power(let p): return [dy * (p * map(.power(p - 1), of: x[0]))]
    }
  }
}

extension Tensor {
  /// `x Φ(x)` with the exact normal distribution function (the erf form).
  public func gelu() -> Tensor { GELU()(self) }
  /// GELU by the hyperbolic tangent: `x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2`.
  public func geluTanh() -> Tensor {
    // (1 + tanh u) / 2 = sigmoid(2 u)
    self * (1.5957691216057308 * (self + 0.044715 * (self * self * self))).sigmoid()
  }
  /// `x sigmoid(1.702 x)`.
  public func quickGELU() -> Tensor { self * (1.702 * self).sigmoid() }
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
  /// The hyperbolic tangent.
  public func tanh() -> Tensor { Pointwise(function: .tanh)(self) }
  /// The square root.
  public func sqrt() -> Tensor { Pointwise(function: .sqrt)(self) }
  /// The square root, whose derivative is taken to be 0 where it is 0: the length of a vector from its square.
  func magnitude() -> Tensor { Pointwise(function: .magnitude)(self) }
  /// The sine.
  public func sin() -> Tensor { Pointwise(function: .sin)(self) }
  /// The cosine.
  public func cos() -> Tensor { Pointwise(function: .cos)(self) }
  /// The magnitude of every value.
  public func abs() -> Tensor { Pointwise(function: .abs)(self) }
  /// The error function, good to 4.5e-7.
  public func erf() -> Tensor { Pointwise(function: .erf)(self) }
  /// `log(1 + exp(beta x)) / beta`.
  public func softplus(beta: Float = 1) -> Tensor {
    if beta == 1 { return Pointwise(function: .softplus)(self) }
    return (1 / beta) * Pointwise(function: .softplus)(beta * self)
  }
  /// `x` for positive values, `slope x` for others.
  public func leakyReLU(slope: Float) -> Tensor {
    Pointwise(function: .leakyReLU(slope: slope))(self)
  }
  /// `x` for positive values, `alpha (exp(x) - 1)` for others.
  public func elu(alpha: Float = 1) -> Tensor {
    relu() + (alpha * clamped(to: 0).exp() + -alpha)
  }
  /// `min(max(x, low), high)`; the derivative is 1 at the ends, as in PyTorch.
  public func clamped(from low: Float = -.infinity, to high: Float = .infinity) -> Tensor {
    Pointwise(function: .clamp(low, high))(self)
  }
  /// `relu6(x + 3) / 6`.
  public func hardSigmoid() -> Tensor { (1.0 / 6) * (self + 3).relu6() }
  /// `x relu6(x + 3) / 6`.
  public func hardSwish() -> Tensor { self * hardSigmoid() }
  /// `x tanh(softplus(x))`.
  public func mish() -> Tensor { self * softplus().tanh() }
  /// `x` to the power of a number.
  public func power(_ exponent: Float) -> Tensor {
    switch exponent {
    case 1: self
    case 2: self * self
    case 3: self * self * self
    case 0.5: sqrt()
    case -0.5: rsqrt()
    case -1: reciprocal()
    default: Pointwise(function: .power(exponent))(self)
    }
  }
}
