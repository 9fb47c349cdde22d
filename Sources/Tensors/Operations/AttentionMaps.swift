import CKernels

/// Maps of attention with their softmax, one head of one image at a time, plus a multiple of maps
/// carried along.
struct FusedMaps: FusedFunction {
  let packed: PackedHeads
  let scale: Float
  /// `[N, heads, T, T]`.
  var carried: Tensor?
  var carriedScale: Float = 1

  var inputs: [Tensor?] { [packed.qkv, carried] }
  var outputShape: Shape {
    let (n, t) = (packed.qkv.shape[0], packed.qkv.shape[1])
    precondition(
      carried.map { $0.shape == [n, packed.heads, t, t] } ?? true,
      "Maps \(carried?.shape ?? []) cannot be carried to those of \(packed.qkv.shape)")
    return [n, packed.heads, t, t]
  }
  var multiplyAdds: Int { packed.qkv.shape.count.times(packed.qkv.shape[1]) / 3 }

  func steps(_ inner: InnerTaps) -> Tensor {
    guard inner.maps == nil, carried == nil else {
      let maps = FusedMaps(packed: packed, scale: scale)()
      let seen = inner.maps?(maps) ?? maps
      return carried.map { seen + carriedScale * $0 } ?? seen
    }
    return FusedAttention.maps(packed.queries, packed.keys, heads: packed.heads, scale: scale)
  }

  func sweep(into y: Tensor) {
    let (t, d, heads) = (packed.qkv.shape[1], packed.channels, packed.heads)
    let attention = HeadAttention(t: t, s: t, width: d / heads, scale: scale)
    let (px, py) = (packed.qkv.memory, y.memory)
    let added = carried.map { ($0.memory, scale: carriedScale) }
    Threads.forEach(y.shape[0] * heads) { index in
      let (image, head) = (index / heads, index % heads)
      let q = px + (image * t * 3 * d + head * attention.width)
      let map = py + index * t * t
      attention.scores(q, q + d, ld: 3 * d, bias: nil, map)
      if let added { ck_axpy(added.scale, added.0 + index * t * t, map, t * t) }
    }
  }
}

/// Attention maps `softmax(scale q kᵀ) + carriedScale carried` of queries, keys and values side by side.
///
/// - Parameters:
///   - qkv: `[N, T, 3 D]`.
///   - carried: maps `[N, heads, T, T]` to be added; nil for none.
///   - softmax: gets the maps before the addition and may put others in their place; nil if nobody looks.
/// - Returns: `[N, heads, T, T]`.
public func attentionMaps(
  qkv: Tensor, heads: Int, scale: Float, carried: Tensor? = nil, carriedScale: Float = 1,
  softmax: InnerTap? = nil
) -> Tensor {
  FusedMaps(
    packed: PackedHeads(qkv, heads: heads), scale: scale, carried: carried,
    carriedScale: carriedScale)(InnerTaps(maps: softmax))
}
