import Tensors

/// A network whose passes compute products with a precision of their own; whoever looks on computes as ever.
struct PrecisionNetwork: Network {
  let network: any Network
  let precision: ProductPrecision

  var inputShape: ImageShape { network.inputShape }
  var classCount: Int? { network.classCount }
  var parameters: [NamedParameter] { network.parameters }

  func callAsFunction(_ images: Tensor, _ context: Context) -> Tensor {
    precision { network(images, context) }
  }

  func begin(_ images: Tensor, _ context: Context) -> PartialPass? {
    precision { network.begin(images, context) }?.computing(in: precision)
  }

  func rebuilt(from source: any ParameterSource) throws(ParameterError) -> any Network {
    try network.rebuilt(from: source).computing(in: precision)
  }
}

extension Network {
  /// The same network with products of the given precision. Derivatives that are asked for after a pass are computed
  /// with that of whoever asks.
  public func computing(in precision: ProductPrecision) -> any Network {
    let network = (self as? PrecisionNetwork)?.network ?? self
    return precision == .float32
      ? network : PrecisionNetwork(network: network, precision: precision)
  }
}
