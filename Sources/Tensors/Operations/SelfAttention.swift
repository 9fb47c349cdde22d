import CKernels

/// A self-attention with the products before and after it, of all tokens of an image or within windows, a
/// few windows after the other: their tokens stay in cache from the normalisation to the projection, and
/// windows are read from the map and written to it without being cut out.
struct FusedSelfAttention: FusedFunction {
  /// `[N, R, D]`; also the residual.
  let x: Tensor
  let normalization: RowNormalization
  let qkv: DenseWeights
  let projection: DenseWeights
  let heads: Int
  let scale: Float
  var gain: Tensor?
  /// Nil: one window without a bias, the image.
  var windows: AttentionWindows?
  /// How many of the first tokens are wanted; nil for all.
  var first: Int?

  var inputs: [Tensor?] {
    [
      x, normalization.gamma, normalization.beta, qkv.weight, qkv.bias, projection.weight,
      projection.bias, gain, windows?.bias,
    ]
  }

  var outputShape: Shape {
    let (weight, mix) = (qkv.weight.shape, projection.weight.shape)
    precondition(
      x.shape.rank == 3 && weight.last == x.shape.last && weight.rows == 3 * mix.last
        && mix.rows == x.shape.last && mix.last % heads == 0,
      "\(heads) heads of weights \(weight) and \(mix) do not fit \(x.shape)")
    if let windows, windows.padding == nil {
      windows.layout.check(x.shape, heads: heads, bias: windows.bias.shape)
    }
    return x.shape.replacing(axis: 1, with: first ?? x.shape[1])
  }

  var multiplyAdds: Int {
    let (weight, mix) = (qkv.weight.shape, projection.weight.shape)
    let seen = windows?.layout.tokens ?? x.shape[1]
    return x.shape.rows.times(weight.count.plus(mix.count).plus(2 * seen * mix.last))
  }

  /// Few windows are too few tiles for the threads.
  var isSweepFaster: Bool {
    first == nil && windows?.padding == nil && x.shape[0] * (windows?.layout.windows ?? 1) >= 8
  }

  func steps(_ inner: InnerTaps) -> Tensor {
    var mixed: Tensor
    if let windows {
      let input =
        windows.padding.map { normalization(x).gatherRows($0, rowsIn: x.shape[1]) } ?? x
      mixed = windowAttention(
        qkv: linear(
          input, qkv.weight, bias: qkv.bias,
          normalization: windows.padding == nil ? normalization : nil),
        windows.layout, heads: heads, scale: scale, bias: windows.bias, maps: inner.maps)
      if let padding = windows.padding {
        mixed = mixed.gatherRows(windows.cropping, rowsIn: padding.count)
      }
    } else {
      mixed = attention(
        qkv: linear(x, qkv.weight, bias: qkv.bias, normalization: normalization), heads: heads,
        scale: scale, maps: inner.maps)
    }
    func wanted(_ tokens: Tensor) -> Tensor {
      first.map { tokens.slice(axis: 1, start: 0, length: $0) } ?? tokens
    }
    return linear(
      wanted(mixed), projection.weight, bias: projection.bias, gain: gain, residual: wanted(x),
      branch: inner.branch)
  }

  func sweep(into y: Tensor) {
    let d = y.shape.last
    let (before, after) = (DenseStep(qkv), DenseStep(projection, gain: gain))
    let bias = windows.map { $0.bias.memory }
    let layout =
      windows?.layout ?? WindowLayout(rows: Array(0..<Int32(y.shape[1])), biases: [0])
    let (t, channels, all) = (layout.tokens, after.panels.k, y.shape[0] * layout.windows)
    let (heads, width, epsilon) = (heads, channels / heads, normalization.epsilon)
    let attention = HeadAttention(t: t, s: t, width: width, scale: scale)
    let (px, py) = (x.memory, y.memory)
    let gamma = normalization.gamma.memory
    let beta = normalization.beta.memory
    // Enough rows for the products, as long as that leaves enough tiles for the threads.
    Threads.forEachTile(of: all, target: max(1, min(200 / t, all / 8))) { first, count in
      let (windows, rows) = (first..<(first + count), count * t)
      let operand = ScratchMemory(.operand, rows * max(d, channels))
      let result = ScratchMemory(.result, rows * max(d, 3 * channels))
      let (mixed, wide) = (operand.pointer, result.pointer)
      layout.forEachRun(in: windows) { place, row, count in
        ck_layer_norm(
          px + row * d, gamma.pointer, beta.pointer, mixed + place * d, count, d, epsilon)
      }
      before.run(rows, mixed, wide, residual: nil)
      for window in windows {
        let start = (window - first) * t * channels
        let kind = Int(layout.biases[window % layout.windows])
        for head in 0..<heads {
          let q = wide + (3 * start + head * width)
          attention.run(
            q, q + channels, q + 2 * channels, ld: 3 * channels,
            bias: bias.map { $0 + (kind * heads + head) * t * t },
            mixed + (start + head * width), ldy: channels)
        }
      }
      after.run(rows, mixed, wide, residual: nil)
      layout.forEachRun(in: windows) { place, row, count in
        ck_add(wide + place * d, px + row * d, py + row * d, 1, count * d, Int32(CK_SAME))
      }
    }
  }
}

/// `x + gain * (attention(norm(x) Wᵀ + b) Pᵀ + p)`; the same values as the steps one by one.
///
/// - Parameters:
///   - x: `[N, T, D]`.
///   - normalization: applied to `x` before.
///   - qkv: `W` `[3 C, D]` and `b`: queries, keys and values, each with its heads side by side.
///   - projection: `P` `[D, C]` and `p`.
///   - gain: `[D]`, a LayerScale.
///   - windows: attention stays within these; see ``windowAttention(qkv:_:heads:scale:bias:maps:)``.
///   - first: how many of the first tokens are wanted; nil for all. The others are read by attention only.
///   - maps: gets the maps after the softmax, `[N, heads, T, T]` or `[N, windows, heads, T, T]`; nil if
///     nobody looks.
///   - branch: gets the values before the gain; nil if nobody looks.
/// - Returns: `[N, T, D]`, of the first tokens if these are wanted.
public func selfAttention(
  _ x: Tensor, normalization: RowNormalization, qkv: DenseWeights, projection: DenseWeights,
  heads: Int, scale: Float, gain: Tensor? = nil, windows: AttentionWindows? = nil,
  first: Int? = nil, maps: InnerTap? = nil, branch: InnerTap? = nil
) -> Tensor {
  FusedSelfAttention(
    x: x, normalization: normalization, qkv: qkv, projection: projection, heads: heads,
    scale: scale, gain: gain, windows: windows, first: first)(
      InnerTaps(maps: maps, branch: branch))
}
