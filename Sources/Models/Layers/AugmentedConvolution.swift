import Tensors

/// A convolution beside attention to all places, their channels one after the other (Bello et al. 2019): scores of contents and
/// of the offsets down and across. Keys `conv_out`, `qkv_conv`, `attn_out`, `key_rel_h`, `key_rel_w`.
struct AugmentedConvolution: Sendable {
  /// The hyper-parameters of a layer.
  struct Options: Sendable {
    var inputs: Int
    var outputs: Int
    var keys: Int
    var values: Int
    var heads: Int
    /// The side of the map behind the layer.
    var side: Int
    var stride = 1
    /// The side of the kernel that makes queries, keys and values.
    var kernel = 3
    /// Whether what heads gather is taken for channels before places, as in leaderj1001's code, which has places before
    /// channels in memory.
    var isTransposed = true
  }

  private let options: Options
  /// What stands beside attention.
  let plain: BiasedConvolution
  private let queriesKeysValues: BiasedConvolution
  private let output: Dense
  private let down: Tensor
  private let across: Tensor

  init(_ scope: Scope, _ o: Options) throws(ParameterError) {
    options = o
    plain = try BiasedConvolution(
      scope["conv_out"], o.inputs, o.outputs - o.values, kernel: 3, stride: o.stride)
    queriesKeysValues = try BiasedConvolution(
      scope["qkv_conv"], o.inputs, 2 * o.keys + o.values, kernel: o.kernel, stride: o.stride)
    output = try Dense(pointwise: scope["attn_out"], o.values, o.values)
    across = try scope.weight("key_rel_w", [2 * o.side - 1, o.keys / o.heads], .normal(1))
    down = try scope.weight("key_rel_h", [2 * o.side - 1, o.keys / o.heads], .normal(1))
  }

  /// A map `[N, H, W, C]` after the layer.
  ///
  /// - Parameters:
  ///   - map: the tap of the map.
  func callAsFunction(
    _ x: Tensor, _ context: Context, map: (Connections) -> Tap
  ) -> Tensor {
    let (o, images) = (options, x.shape[0])
    let (side, area, width) = (o.side, o.side * o.side, o.keys / o.heads)
    let all = queriesKeysValues(x)
    func byHead(_ start: Int, _ length: Int) -> Tensor {
      all.slice(axis: 3, start: start, length: length)
        .reshaped([images, area, o.heads, length / o.heads]).permuted([0, 2, 1, 3])
    }
    let queries = 1 / Float(width).squareRoot() * byHead(0, o.keys)
    // [N, heads, rows, columns, rows] and the same of columns.
    let grid = queries.reshaped([images, o.heads, side, side, width])
    let downs = relative(grid.permuted([2, 0, 1, 3, 4]), down).permuted([1, 2, 0, 3, 4])
    let acrosses = relative(grid.permuted([3, 0, 1, 2, 4]), across).permuted([1, 2, 3, 0, 4])
    let places: Shape = [images, o.heads, side, side, side, side]
    let scores =
      downs.reshaped([images, o.heads, side, side, side, 1]).expanded(to: places)
      + acrosses.reshaped([images, o.heads, side, side, 1, side])
    let mixed = scaledDotProductAttention(
      queries, byHead(o.keys, o.keys), byHead(2 * o.keys, o.values),
      bias: scores.reshaped([images, o.heads, area, area]), scale: 1,
      maps: context.inner(map(connections)))
    let each = o.values / o.heads
    let gathered =
      o.isTransposed
      ? mixed.reshaped([images, o.values, area]).permuted([0, 2, 1])
      : mixed.permuted([0, 2, 1, 3]).reshaped([images, area, o.heads * each])
    return Tensor.concatenated(
      [plain(x), output(gathered).reshaped([images, side, side, o.values])], axis: 3)
  }

  private var connections: Connections {
    let o = options
    let (side, width) = (o.side, o.inputs * o.kernel * o.kernel)
    return Connections(
      height: side, width: side,
      declared: .attention(
        tokens: side * side, width: width, inner: o.keys,
        parameters: 2 * o.keys * (width + 1) + down.shape.count + across.shape.count))
  }

  /// The products `[side, N, heads, side, side]` of queries `[side, N, heads, side, width]`, which share a place along an axis in
  /// front, with the vectors of the offsets from it to every place of the axis.
  private func relative(_ queries: Tensor, _ vectors: Tensor) -> Tensor {
    let side = options.side
    let rows = (0..<(side * side)).map { Int32($0 % side - $0 / side + side - 1) }
    let table = vectors.gatherRows(rows, rowsIn: 2 * side - 1)
      .reshaped([side, side, vectors.shape[1]]).permuted([0, 2, 1])
    let flat = queries.reshaped([
      side, queries.shape.count / side / vectors.shape[1], vectors.shape[1],
    ])
    return flat.matrixProduct(table)
      .reshaped(Shape(queries.shape.dimensions.dropLast() + [side]))
  }
}

/// A convolution with a bias, keys `weight` `[out, in, k, k]` and `bias`.
struct BiasedConvolution: Sendable {
  let convolution: NormedConvolution
  private let bias: ChannelAffine

  init(
    _ scope: Scope, _ inputs: Int, _ outputs: Int, kernel: Int, stride: Int = 1
  ) throws(ParameterError) {
    convolution = try NormedConvolution(
      scope, norm: nil, inputs, outputs, kernel: kernel, stride: stride)
    bias = ChannelAffine(
      scale: Tensor(repeating: 1, shape: [outputs]),
      shift: try scope.weight("bias", [outputs], .constant(0)))
  }

  /// A map `[N, H, W, C]` after the convolution.
  func callAsFunction(_ x: Tensor) -> Tensor {
    Tensors.convolution(x, convolution.weight, window: convolution.window, affine: bias)
  }
}
