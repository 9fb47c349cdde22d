import Tensors

/// A convolution as multi-head self-attention (Cordonnier et al., "On the relationship between self-attention and
/// convolutional layers", ICLR 2020, theorem 1): a head for each tap, which attends to the place where the tap lies
/// by relative positions in the quadratic encoding alone, and whose values are the tap's matrix.
///
/// Head h scores a key at the way δ from the query by `v_h · r(δ)` with `r(δ) = (|δ|², δ_y, δ_x)` and
/// `v_h = -α (1, -2 Δ_y, -2 Δ_x)`, which is `-α |δ - Δ_h|²` but for a constant that the softmax does not see. Where
/// the place at Δ_h is on the map, all other weights together are below `8 exp(-α)`; where it is not, the head looks
/// at the place of the map next to it. So the layer is the convolution inside the map, and at its edges the convolution
/// of a map whose edge is repeated.
public struct ConvolutionAsAttention: Sendable {
  /// Rows and columns of the kernel.
  public let extents: (height: Int, width: Int)
  /// The factor α of the squared distance from a head's centre.
  public let sharpness: Float
  /// The vector `v_h` of each head, `[heads, 3]`.
  public let positionQueries: Tensor
  /// Values and projection of all heads in one, `[out, heads * in]`.
  public let weight: Tensor
  /// What is added to each place, `[out]`.
  public let bias: Tensor?

  /// - Parameters:
  ///   - kernel: the weights of a convolution with stride 1, `[out, kh, kw, in]`, kh and kw odd.
  ///   - bias: `[out]`; nil for none.
  ///   - sharpness: how much less a head looks at a place one further away, as an exponent; positive.
  /// - Precondition: the shapes are those of a convolution with a middle.
  public init(kernel: Tensor, bias: Tensor? = nil, sharpness: Float = 64) {
    let shape = kernel.shape
    precondition(
      shape.rank == 4 && !shape[1].isMultiple(of: 2) && !shape[2].isMultiple(of: 2),
      "\(shape) is not a kernel [out, kh, kw, in] with a middle")
    precondition(
      bias.map { $0.shape == [shape[0]] } ?? true, "A bias \(bias?.shape ?? []) for \(shape)")
    precondition(sharpness > 0, "A sharpness of \(sharpness) tells no places apart")
    extents = (shape[1], shape[2])
    (self.sharpness, self.bias) = (sharpness, bias)
    weight = kernel.reshaped([shape[0], shape[1] * shape[2] * shape[3]])
    let centres = Self.centres(extents)
    positionQueries = Tensor(
      centres.flatMap { [-sharpness, 2 * sharpness * $0.down, 2 * sharpness * $0.across] },
      shape: [centres.count, 3])
  }

  /// How many heads there are: one a tap, row by row.
  public var heads: Int { extents.height * extents.width }

  /// The way from a query to the centre of each head.
  private static func centres(
    _ extents: (height: Int, width: Int)
  ) -> [(down: Float, across: Float)] {
    (0..<extents.height * extents.width).map { tap in
      (
        Float(tap / extents.width - extents.height / 2),
        Float(tap % extents.width - extents.width / 2)
      )
    }
  }

  /// The quadratic encoding `r(δ)` of the way from each query to each key of a grid, `[T, T, 3]`.
  public static func encoding(height: Int, width: Int) -> Tensor {
    let count = height * width
    return Tensor(shape: [count, count, 3]) { values in
      for query in 0..<count {
        for key in 0..<count {
          let y = Float(key / width - query / width)
          let x = Float(key % width - query % width)
          let at = (query * count + key) * 3
          (values[at], values[at + 1], values[at + 2]) = (y * y + x * x, y, x)
        }
      }
    }
  }

  /// The attention maps on a grid, `[heads, T, T]`: the same for all images.
  public func maps(height: Int, width: Int) -> Tensor {
    let count = height * width
    let pairs = Self.encoding(height: height, width: width).reshaped([count * count, 3])
    // Scores of places far away are large; the softmax takes the largest off first.
    return pairs.matmul(positionQueries, transposed: true).permuted([1, 0])
      .reshaped([heads, count, count]).softmax()
  }

  /// A map `[N, H, W, in]` as the attention layer makes `[N, H, W, out]` of it.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    let (images, height, width, channels) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3])
    let count = height * width
    let mixed = maps(height: height, width: width).reshaped([1, heads, count, count])
      .matrixProduct(x.reshaped([images, 1, count, channels]))
    let joined = mixed.permuted([0, 2, 1, 3]).reshaped([images, count, heads * channels])
    return linear(joined, weight, bias: bias).reshaped([images, height, width, weight.shape[0]])
  }
}
