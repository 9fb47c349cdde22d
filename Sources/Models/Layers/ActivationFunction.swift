import Tensors

/// A non-linearity by the name that configurations give it.
public enum ActivationFunction: String, ConfigurationValue, Codable, Sendable, CaseIterable {
  /// The exact (erf) GELU.
  case gelu
  /// GELU by the hyperbolic tangent.
  case geluTanh = "gelu-tanh"
  /// `x sigmoid(1.702 x)`: OpenAI's CLIP.
  case quickGELU = "quick-gelu"
  /// `max(x, 0)`.
  case relu
  /// `min(max(x, 0), 6)`.
  case relu6
  /// `x sigmoid(x)`.
  case silu

  /// The function itself.
  var function: Activation {
    switch self {
    case .gelu: .gelu
    case .geluTanh: .geluTanh
    case .quickGELU: .quickGELU
    case .relu: .relu
    case .relu6: .relu6
    case .silu: .silu
    }
  }

  /// For messages about these words.
  static let expectedWords = "one of " + words.keys.sorted().joined(separator: ", ")

  /// What `hidden_act` of transformers and `act_layer` of timm call it.
  static let words: [String: ActivationFunction] = [
    "gelu": .gelu, "gelu_python": .gelu, "gelu_new": .geluTanh, "gelu_fast": .geluTanh,
    "gelu_accurate": .geluTanh, "gelu_pytorch_tanh": .geluTanh, "gelu_tanh": .geluTanh,
    "quick_gelu": .quickGELU, "quickgelu": .quickGELU, "relu": .relu, "relu6": .relu6,
    "silu": .silu, "swish": .silu,
  ]
}
