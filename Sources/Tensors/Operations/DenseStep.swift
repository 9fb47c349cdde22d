import CKernels

/// What is applied to the result of a product or a normalisation.
public enum Activation: Sendable {
  case none, gelu, relu, relu6

  var code: Int32 {
    switch self {
    case .none: Int32(CK_ACTIVATION_NONE)
    case .gelu: Int32(CK_ACTIVATION_GELU)
    case .relu: Int32(CK_ACTIVATION_RELU)
    case .relu6: Int32(CK_ACTIVATION_RELU6)
    }
  }

  /// The activation as an operation of its own.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    switch self {
    case .none: x
    case .gelu: x.gelu()
    case .relu: x.relu()
    case .relu6: x.relu6()
    }
  }
}

/// A normalisation of the rows before a product: ``Tensor/layerNorm(gamma:beta:epsilon:)``.
public struct RowNormalization: Sendable {
  /// `[D]`.
  public let gamma: Tensor
  /// `[D]`.
  public let beta: Tensor
  /// Added to the variance.
  public let epsilon: Float

  /// A normalisation given by its parameters.
  public init(gamma: Tensor, beta: Tensor, epsilon: Float) {
    (self.gamma, self.beta, self.epsilon) = (gamma, beta, epsilon)
  }

  /// The normalised values.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    x.layerNorm(gamma: gamma, beta: beta, epsilon: epsilon)
  }
}

/// The weight of a product, `[out, in]` as PyTorch stores it, and its bias `[out]`.
public typealias DenseWeights = (weight: Tensor, bias: Tensor?)

/// A product and what is applied to its result, packed for use by tiles of rows.
struct DenseStep: Sendable {
  let panels: Panels
  private let activation: Int32
  private let bias: DisjointWrites<Float>?
  private let gain: DisjointWrites<Float>?

  init(_ weights: DenseWeights, activation: Activation = .none, gain: Tensor? = nil) {
    let (k, n) = (weights.weight.shape.last, weights.weight.shape.rows)
    panels = Panels(weights.weight.pointer, ldb: k, transposed: true, k: k, n: n)
    self.activation = activation.code
    bias = weights.bias.map(\.memory)
    self.gain = gain.map(\.memory)
  }

  /// `c[rows, out] = residual + gain * activation(a[rows, in] Wᵀ + bias)`.
  func run(
    _ rows: Int, _ a: UnsafePointer<Float>, _ c: UnsafeMutablePointer<Float>,
    residual: UnsafePointer<Float>?
  ) {
    let n = panels.n
    panels.multiply(rows, a, lda: panels.k, c, ldc: n)
    ck_linear_epilogue(c, rows, n, n, bias?.pointer, activation, gain?.pointer, residual)
  }
}
