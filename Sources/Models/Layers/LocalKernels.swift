import Tensors

/// The weights of a local layer, `[N or 1, places or 1, window², groups]` for
/// ``Tensors/Tensor/locallyMixed(_:window:)``.
enum LocalKernels: Sendable {
  /// A parameter: a depth-wise convolution, key `weight` `[C, 1, k, k]`.
  case fixed(Tensor)
  /// Made of the mean of an image: the same kernels at every place of it (Han et al. 2021).
  case ofImage(KernelGenerator)
  /// Made of each place: involution (Li et al. 2021). The second product once more, with the groups of a tap together.
  case ofPlace(KernelGenerator, byTap: DenseWeights)

  /// The kernels of a depth-wise convolution.
  static func depthwise(
    _ scope: Scope, channels: Int, side: Int
  ) throws(ParameterError) -> LocalKernels {
    let weight = try scope.weight("weight", [channels, 1, side, side], layout: .depthwise)
    return .fixed(weight.reshaped([1, 1, side * side, channels]))
  }

  /// Kernels made of each place.
  static func ofEachPlace(_ generator: KernelGenerator) -> LocalKernels {
    .ofPlace(generator, byTap: generator.byTap)
  }

  /// A map `[N, H, W, C]` mixed.
  ///
  /// - Parameters:
  ///   - source: what places make kernels of, at the places of the result; nil: the map.
  ///   - map: the tap of the kernels.
  func mix(
    _ x: Tensor, of source: Tensor? = nil, window: SlidingWindow, _ context: Context,
    map: (Connections) -> Tap
  ) -> Tensor {
    func tap() -> Tap { map(connections(on: x.shape, window: window)) }
    switch self {
    case .fixed(let weights):
      return x.locallyMixed(
        context.kernels(tap(), weights, images: x.shape[0]), window: window)
    case .ofImage(let generator):
      let mean = x.globalAverage().reshaped([x.shape[0], 1, 1, x.shape[3]])
      return x.locallyMixed(
        context.kernels(tap(), generator(mean, context), images: x.shape[0]), window: window)
    case .ofPlace(let generator, let byTap):
      return x.locallyMixed(
        byKernelsOf: generator.reduced(source ?? x, context), expand: byTap, window: window,
        maps: context.inner(tap()))
    }
  }
}

extension LocalKernels {
  /// What a layer with these kernels declares: what they are made of, and what it takes to make them and to mix the
  /// places of a result with them.
  ///
  /// - Parameters:
  ///   - map: the map that is read, `[N, H, W, C]`.
  func connections(on map: Shape, window: SlidingWindow) -> Connections {
    let places = window.extents(height: map[1], width: map[2]).map { $0.height * $0.width } ?? 0
    let mixing = places * map[3] * window.kernel.height * window.kernel.width
    let declared =
      switch self {
      case .fixed(let weights):
        Connections.Declaration(
          .parameters, channels: map[3], parameters: weights.shape.count, multiplyAdds: mixing)
      case .ofImage(let generator):
        Connections.Declaration(
          .image, channels: map[3], parameters: generator.parameters,
          multiplyAdds: mixing + generator.multiplyAdds)
      case .ofPlace(let generator, _):
        Connections.Declaration(
          .place, channels: map[3], parameters: generator.parameters,
          multiplyAdds: mixing + places * generator.multiplyAdds)
      }
    return Connections(
      height: map[1], width: map[2], support: .taps(window), declared: declared)
  }
}

/// Two products that make the kernels of a place of its channels: `expand(relu(norm(reduce(x))))`.
struct KernelGenerator: Sendable {
  private let reduce: Reduction
  /// `[groups * taps, reduced]` and its bias, the taps of a group together.
  private let expand: DenseWeights
  private let taps: Int

  /// Parameters of both products and of the normalisation between them.
  var parameters: Int {
    let first =
      switch reduce {
      case .plain(let convolution):
        convolution.weight.shape.count + 2 * convolution.weight.shape[0]
      case .biased(let convolution, _):
        convolution.weight.shape.count + 3 * convolution.weight.shape[0]
      }
    return first + Dense(expand).parameterCount
  }

  /// Multiply-adds of the kernels of one place.
  var multiplyAdds: Int {
    let first =
      switch reduce {
      case .plain(let convolution): convolution.weight
      case .biased(let convolution, _): convolution.weight
      }
    return first.shape.count + expand.weight.shape.count
  }

  /// The first product, with or without a bias before the normalisation.
  private enum Reduction: Sendable {
    case plain(NormedConvolution)
    case biased(PatchEmbedding, BatchNorm)
  }

  /// - Parameters:
  ///   - reduce: the scope of a 1x1 convolution to a quarter of the channels, and of the norm behind it.
  ///   - expand: the scope of a 1x1 convolution with a bias to `side² * groups` values, those of a group together.
  init(
    reduce: Scope, norm: Scope, expand: Scope, channels: Int, side: Int, groups: Int,
    hasReducedBias: Bool
  ) throws(ParameterError) {
    let reduced = max(1, channels / 4)
    self.reduce =
      hasReducedBias
      ? .biased(
        try PatchEmbedding(reduce, channels: channels, patch: 1, width: reduced),
        try BatchNorm(norm, reduced))
      : .plain(try NormedConvolution(reduce, norm: norm, channels, reduced, kernel: 1))
    taps = side * side
    self.expand = try Dense(pointwise: expand, reduced, taps * groups).weights
  }

  private var groups: Int { expand.weight.shape.rows / taps }

  /// The second product with the groups of a tap together.
  fileprivate var byTap: DenseWeights {
    func arranged(_ rows: Tensor) -> Tensor {
      rows.reshaped([groups, taps, rows.shape.count / (groups * taps)]).permuted([1, 0, 2])
        .reshaped(rows.shape)
    }
    return (arranged(expand.weight), expand.bias.map(arranged))
  }

  /// What kernels are a product of, for the places of a map `[N, H, W, C]`.
  func reduced(_ x: Tensor, _ context: Context) -> Tensor {
    switch reduce {
    case .plain(let convolution): convolution(x, activation: .relu, context)
    case .biased(let convolution, let norm):
      norm(convolution(x), activation: .relu, context)
    }
  }

  /// The kernels `[N, H * W, taps, groups]` of the places of a map `[N, H, W, C]`.
  func callAsFunction(_ x: Tensor, _ context: Context) -> Tensor {
    linear(reduced(x, context), expand.weight, bias: expand.bias)
      .reshaped([x.shape[0], x.shape[1] * x.shape[2], groups, taps]).permuted([0, 1, 3, 2])
  }
}
