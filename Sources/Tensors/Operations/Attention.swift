import CKernels

/// `[N, T, D]` with heads along the channels, as head-major matrices: `q_h k_hᵀ`.
///
/// - Inputs: `[N, T, D]` and `[N, S, D]`, `D = heads * width`. Result: `[N, heads, T, S]`.
///
/// This product and the two of ``HeadApply`` are closed under differentiation.
struct HeadScores: Operation {
  let heads: Int

  func outputShape(_ x: [Shape]) -> Shape {
    precondition(
      x[0].rank == 3 && x[1].rank == 3 && x[0][0] == x[1][0] && x[0][2] == x[1][2]
        && x[0][2] % heads == 0, "No scores of \(heads) heads for \(x[0]) and \(x[1])")
    return [x[0][0], heads, x[0][1], x[1][1]]
  }
  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int { x[0].count.times(x[1][1]) }

  func forward(_ x: [Tensor], into y: Tensor) {
    let (t, s, d) = (x[0].shape[1], x[1].shape[1], x[0].shape[2])
    let width = d / heads
    let (pa, pb, py) = (x[0].memory, x[1].memory, y.memory)
    Threads.forEach(x[0].shape[0] * heads) { index in
      let (image, head) = (index / heads, index % heads)
      gemm(
        t, s, width, pa + (image * t * d + head * width), lda: d,
        pb + (image * s * d + head * width), ldb: d, transposeB: true, py + index * t * s, ldc: s)
    }
  }

  func kept(needs: [Bool]) -> SavedValues { .ofBilinear(needs) }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    [
      needs[0] ? HeadApply(heads: heads)(dy, x[1]) : nil,
      needs[1] ? HeadApply(heads: heads, transposed: true)(dy, x[0]) : nil,
    ]
  }
}

/// Maps applied to values: `P_h v_h`, or `P_hᵀ v_h`.
///
/// - Inputs: `[N, heads, T, S]` and `[N, S, D]` (transposed: `[N, T, D]`). Result: `[N, T, D]`
///   (transposed: `[N, S, D]`).
struct HeadApply: Operation {
  let heads: Int
  var transposed = false

  func outputShape(_ x: [Shape]) -> Shape {
    let inner = transposed ? x[0][2] : x[0][3]
    precondition(
      x[0].rank == 4 && x[0][1] == heads && x[1].rank == 3 && x[0][0] == x[1][0]
        && x[1][1] == inner && x[1][2] % heads == 0,
      "Maps \(x[0]) of \(heads) heads do not apply to \(x[1])")
    return [x[0][0], transposed ? x[0][3] : x[0][2], x[1][2]]
  }
  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int { (x[0].count / heads).times(x[1][2]) }

  func forward(_ x: [Tensor], into y: Tensor) {
    let (t, s, d) = (x[0].shape[2], x[0].shape[3], x[1].shape[2])
    let width = d / heads
    let (rows, inner) = transposed ? (s, t) : (t, s)
    let (pp, pv, py) = (x[0].memory, x[1].memory, y.memory)
    Threads.forEach(x[0].shape[0] * heads) { index in
      let (image, head) = (index / heads, index % heads)
      gemm(
        rows, width, inner, pp + index * t * s, lda: s, transposeA: transposed,
        pv + (image * inner * d + head * width), ldb: d,
        py + (image * rows * d + head * width), ldc: d)
    }
  }

  func kept(needs: [Bool]) -> SavedValues { .ofBilinear(needs) }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    let scores = HeadScores(heads: heads)
    return [
      needs[0] ? (transposed ? scores(x[1], dy) : scores(dy, x[1])) : nil,
      needs[1] ? HeadApply(heads: heads, transposed: !transposed)(x[0], dy) : nil,
    ]
  }
}

/// Queries, keys and values side by side, heads side by side in each: `[N, T, 3 D]`.
struct PackedHeads: Sendable {
  let qkv: Tensor
  let heads: Int

  /// - Precondition: there are three parts, in each of which the heads are of one width.
  init(_ qkv: Tensor, heads: Int) {
    precondition(
      qkv.shape.rank == 3 && qkv.shape.last % (3 * heads) == 0,
      "\(qkv.shape) does not hold queries, keys and values of \(heads) heads")
    (self.qkv, self.heads) = (qkv, heads)
  }

  /// Channels of each part.
  var channels: Int { qkv.shape.last / 3 }
  var queries: Tensor { part(0) }
  var keys: Tensor { part(1) }
  var values: Tensor { part(2) }

  private func part(_ index: Int) -> Tensor {
    qkv.slice(axis: 2, start: index * channels, length: channels)
  }
}

/// Softmax attention of one head of one image, whose map stays in cache.
struct HeadAttention: Sendable {
  /// Queries, keys, and channels of the head.
  let t, s, width: Int
  let scale: Float

  /// `y[t, width] = softmax(scale q kᵀ + bias) v`, with row strides `ld` and `ldy`. Takes the scratch
  /// memory of maps.
  func run(
    _ q: UnsafePointer<Float>, _ k: UnsafePointer<Float>, _ v: UnsafePointer<Float>, ld: Int,
    bias: UnsafePointer<Float>? = nil, _ y: UnsafeMutablePointer<Float>, ldy: Int
  ) {
    let map = ScratchMemory(.maps, t * s)
    scores(q, k, ld: ld, bias: bias, map.pointer)
    gemm(t, width, s, map.pointer, lda: s, v, ldb: ld, y, ldc: ldy)
  }

  /// `map[t, s] = softmax(scale q kᵀ + bias)`.
  func scores(
    _ q: UnsafePointer<Float>, _ k: UnsafePointer<Float>, ld: Int, bias: UnsafePointer<Float>?,
    _ map: UnsafeMutablePointer<Float>
  ) {
    if let bias { map.update(from: bias, count: t * s) }
    gemm(
      t, s, width, alpha: bias == nil ? 1 : scale, q, lda: ld, k, ldb: ld, transposeB: true, map,
      ldc: s, adding: bias != nil)
    ck_softmax(map, map, t, s, bias == nil ? scale : 1)
  }
}

/// Softmax attention with the maps kept in cache, one head of one image at a time.
struct FusedAttention: FusedFunction {
  enum Operands {
    case separate(q: Tensor, k: Tensor, v: Tensor)
    case packed(PackedHeads)
  }

  let operands: Operands
  let heads: Int
  let scale: Float
  /// Added to the scores; see ``attention(_:_:_:heads:scale:bias:maps:)``.
  var bias: Tensor?

  var inputs: [Tensor?] {
    switch operands {
    case .separate(let q, let k, let v): [q, k, v, bias]
    case .packed(let all): [all.qkv, bias]
    }
  }

  var outputShape: Shape {
    switch operands {
    case .separate(let q, let k, let v):
      precondition(k.shape == v.shape, "Keys \(k.shape) and values \(v.shape) differ in shape")
      _ = HeadScores(heads: heads).outputShape([q.shape, k.shape])
      return q.shape
    case .packed(let all): return all.qkv.shape.replacingLast(all.channels)
    }
  }

  var multiplyAdds: Int {
    switch operands {
    case .separate(let q, let k, _): q.shape.count.times(2 * k.shape[1])
    case .packed(let all): outputShape.count.times(2 * all.qkv.shape[1])
    }
  }

  func steps(_ inner: InnerTaps) -> Tensor {
    switch operands {
    case .separate(let q, let k, let v):
      let maps = Self.maps(q, k, heads: heads, scale: scale, bias: bias)
      return HeadApply(heads: heads)(inner.maps?(maps) ?? maps, v)
    case .packed(let all):
      return FusedAttention(
        operands: .separate(q: all.queries, k: all.keys, v: all.values), heads: heads, scale: scale,
        bias: bias)(inner)
    }
  }

  /// `softmax(scale q_h k_hᵀ + bias)` of each head, in separate operations.
  static func maps(
    _ q: Tensor, _ k: Tensor, heads: Int, scale: Float, bias: Tensor? = nil
  ) -> Tensor {
    let scores = HeadScores(heads: heads)(q, k)
    guard let bias else { return scores.softmax(scale: scale) }
    // A bias for each window repeats over the images: seen as [images, windows * heads * T * S].
    let rows = Shape([scores.shape.count / bias.shape.count] + bias.shape.dimensions)
    return ((scale * scores).reshaped(rows) + bias).reshaped(scores.shape).softmax()
  }

  func recordedWhole() -> Tensor? {
    guard case .packed(let all) = operands, bias == nil else { return nil }
    return PackedAttention(heads: heads, scale: scale)(all.qkv)
  }

  func sweep(into y: Tensor) {
    let (n, t, d) = (y.shape[0], y.shape[1], y.shape[2])
    let q, k, v: DisjointWrites<Float>
    let s, ld: Int
    switch operands {
    case .separate(let queries, let keys, let values):
      (q, k, v) = (queries.memory, keys.memory, values.memory)
      (s, ld) = (keys.shape[1], d)
    case .packed(let all):
      let start = all.qkv.pointer
      (q, k, v) = (.init(start), .init(start + d), .init(start + 2 * d))
      (s, ld) = (t, 3 * d)
    }
    let (heads, width, py) = (heads, d / heads, y.memory)
    let added = bias.map { ($0.memory, count: $0.shape.count) }
    let attention = HeadAttention(t: t, s: s, width: width, scale: scale)
    Threads.forEach(n * heads) { index in
      let (image, at) = (index / heads, index % heads * width)
      attention.run(
        q + (image * t * ld + at), k + (image * s * ld + at), v + (image * s * ld + at), ld: ld,
        bias: added.map { $0.0 + (index * t * s) % $0.count }, py + (image * t * d + at), ldy: d)
    }
  }
}

/// Multi-head attention `softmax(scale q kᵀ + bias) v`, heads side by side in the channels.
///
/// - Parameters:
///   - q: `[N, T, D]`; k, v: `[N, S, D]`, `D` a multiple of `heads`.
///   - bias: added to the scaled scores, `[heads, T, S]` or `[windows, heads, T, S]` (for `N` a
///     multiple of `windows`), with any masks in it.
///   - maps: gets the maps `[N, heads, T, S]` after the softmax and may put others in their place;
///     nil if nobody looks.
/// - Returns: `[N, T, D]`, before the output projection.
public func attention(
  _ q: Tensor, _ k: Tensor, _ v: Tensor, heads: Int, scale: Float, bias: Tensor? = nil,
  maps: InnerTap? = nil
) -> Tensor {
  FusedAttention(
    operands: .separate(q: q, k: k, v: v), heads: heads, scale: scale, bias: bias)(
      InnerTaps(maps: maps))
}

/// As ``attention(_:_:_:heads:scale:bias:maps:)``, with queries, keys and values side by side.
///
/// - Parameters:
///   - qkv: `[N, T, 3 D]`.
/// - Returns: `[N, T, D]`.
public func attention(
  qkv: Tensor, heads: Int, scale: Float, bias: Tensor? = nil, maps: InnerTap? = nil
) -> Tensor {
  FusedAttention(
    operands: .packed(PackedHeads(qkv, heads: heads)), heads: heads, scale: scale, bias: bias)(
      InnerTaps(maps: maps))
}

extension Tensor {
  /// `self_h otherᵀ_h` for each head: `[N, T, D]`, `[N, S, D]` to `[N, heads, T, S]`.
  public func headScores(_ other: Tensor, heads: Int) -> Tensor {
    HeadScores(heads: heads)(self, other)
  }

  /// Maps `[N, heads, T, S]` applied to values `[N, S, D]`: `[N, T, D]`.
  public func applied(to values: Tensor) -> Tensor {
    HeadApply(heads: shape[1])(self, values)
  }
}
