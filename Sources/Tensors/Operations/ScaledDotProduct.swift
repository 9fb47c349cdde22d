/// Softmax attention of matrices side by side, each map of which stays in cache.
struct FusedScaledDotProduct: FusedFunction {
  /// `[..., T, E]`.
  let q: Tensor
  /// `[..., S, E]`.
  let k: Tensor
  /// `[..., S, F]`.
  let v: Tensor
  let scale: Float
  /// Added to the scaled scores: `[..., T, S]`, the axes before repeated by NumPy's rule.
  var bias: Tensor?

  var inputs: [Tensor?] { [q, k, v, bias] }

  private var leading: Shape { Shape(Array(q.shape.dimensions.dropLast(2))) }
  private var mapShape: Shape { q.shape.replacingLast(k.shape[-2]) }

  var outputShape: Shape {
    let rank = q.shape.rank
    precondition(
      rank >= 2 && k.shape.rank == rank && v.shape.rank == rank && q.shape.last == k.shape.last
        && k.shape[-2] == v.shape[-2]
        && leading.dimensions[...] == k.shape.dimensions.dropLast(2)
        && leading.dimensions[...] == v.shape.dimensions.dropLast(2),
      "No attention of \(q.shape) to \(k.shape) with \(v.shape)")
    if let bias {
      precondition(
        Shape.broadcast(mapShape, bias.shape) == mapShape && bias.shape.rank >= 2
          && bias.shape[-2] == q.shape[-2] && bias.shape[-1] == k.shape[-2],
        "A bias \(bias.shape) does not fit maps \(mapShape)")
    }
    return q.shape.replacingLast(v.shape.last)
  }

  var multiplyAdds: Int { mapShape.count.times(q.shape.last.plus(v.shape.last)) }

  func steps(_ inner: InnerTaps) -> Tensor {
    func flat(_ x: Tensor) -> Tensor {
      x.reshaped([leading.count, x.shape[-2], x.shape[-1]])
    }
    let scores = BatchedMatMul(transposeB: true)(flat(q), flat(k))
    let maps: Tensor
    if let bias {
      maps = ((scale * scores).reshaped(mapShape) + bias).softmax()
    } else {
      maps = scores.softmax(scale: scale).reshaped(mapShape)
    }
    return BatchedMatMul()(flat(inner.maps?(maps) ?? maps), flat(v)).reshaped(outputShape)
  }

  func sweep(into y: Tensor) {
    let (t, s, e, f) = (q.shape[-2], k.shape[-2], q.shape.last, v.shape.last)
    let attention = HeadAttention(t: t, s: s, width: e, scale: scale)
    let (pq, pk, pv, py) = (q.memory, k.memory, v.memory, y.memory)
    let added = bias.map { bias in
      (
        bias.memory,
        Broadcast.sources(
          leading, Shape(Array(bias.shape.dimensions.dropLast(2))))
      )
    }
    Threads.forEach(leading.count) { index in
      let map = ScratchMemory(.maps, t * s)
      attention.scores(
        pq + index * t * e, pk + index * s * e, ld: e,
        bias: added.map { UnsafePointer($0.0 + $0.1[index] * t * s) }, map.pointer)
      gemm(
        t, f, s, map.pointer, lda: s, pv + index * s * f, ldb: f, py + index * t * f, ldc: f)
    }
  }
}

/// Attention `softmax(scale q kᵀ + bias) v` of matrices side by side, as PyTorch's
/// `scaled_dot_product_attention` lays them out.
///
/// - Parameters:
///   - q: `[..., H, T, E]`.
///   - k: `[..., G, S, E]`, `H` a multiple of `G`: as many heads of queries after each other share one of
///     keys and values.
///   - v: `[..., G, S, F]`.
///   - bias: added to the scaled scores, repeated to `[..., H, T, S]` by NumPy's rule; minus infinity where
///     nothing is to be looked at.
///   - scale: nil for `1 / sqrt(E)`.
///   - causal: whether a query sees the keys up to its own place alone.
///   - maps: gets the maps `[..., H, T, S]` after the softmax and may put others in their place; nil if
///     nobody looks.
/// - Returns: `[..., H, T, F]`.
public func scaledDotProductAttention(
  _ q: Tensor, _ k: Tensor, _ v: Tensor, bias: Tensor? = nil, scale: Float? = nil,
  causal: Bool = false, maps: InnerTap? = nil
) -> Tensor {
  let (t, s) = (q.shape[-2], k.shape[-2])
  func shared(_ x: Tensor) -> Tensor {
    guard q.shape.rank > 2, x.shape.rank == q.shape.rank, x.shape[-3] != q.shape[-3] else {
      return x
    }
    let heads = x.shape[-3]
    precondition(
      heads > 0 && q.shape[-3].isMultiple(of: heads),
      "\(q.shape[-3]) heads do not share \(heads)")
    let repeats = (0..<Int32(q.shape[-3])).map { $0 / Int32(q.shape[-3] / heads) }
    return x.picked(axis: -3, repeats)
  }
  var added = bias.map { bias in
    bias.expanded(to: Shape(Array(bias.shape.dimensions.dropLast(2)) + [t, s]))
  }
  if causal {
    let mask = Tensor(shape: [t, s]) { mask in
      for index in mask.indices { mask[index] = index % s > index / s ? -.infinity : 0 }
    }
    added = added.map { $0 + mask } ?? mask
  }
  return FusedScaledDotProduct(
    q: q, k: shared(k), v: shared(v), scale: scale ?? 1 / Float(q.shape.last).squareRoot(),
    bias: added)(InnerTaps(maps: maps))
}
