import Glibc
import Testing

@testable import Tensors

/// An operation, inputs for it, and the same in plain Float64: every property test runs over these.
struct OperationCase: Sendable, CustomTestStringConvertible {
  /// What the values of an input are like.
  enum Values: Sendable {
    case normal
    /// In 0.5 ..< 2.
    case positive
    /// Normal, at least 0.05 from 0 and from 6 (the kinks of the rectifiers).
    case offKinks
    /// A shuffle of equally spaced values, so that the largest of a window is clearly so.
    case distinct
  }

  var name: String
  var shapes: [Shape]
  var values: Values = .normal
  /// Whether the reference is too slow or too large to differentiate value by value.
  var isLarge = false
  var run: @Sendable ([Tensor]) -> Tensor
  var reference: @Sendable ([Reference]) -> Reference

  var testDescription: String { name }

  /// The inputs, the same at every call.
  func inputs() -> [Tensor] {
    var random = Random(seed: UInt64(name.utf8.reduce(7) { ($0 &* 31 &+ Int($1)) & 0xffff_ffff }))
    return shapes.map { shape in
      switch values {
      case .normal: random.normal(shape)
      case .positive: Tensor((0..<shape.count).map { _ in 0.5 + 1.5 * random.unit() }, shape: shape)
      case .offKinks:
        Tensor(
          random.normal(shape).values.map {
            let x = 3 * $0 + ($0 < 0 ? -0.05 : 0.05)
            return abs(x - 6) < 0.05 ? 6.1 : x
          }, shape: shape)
      case .distinct:
        Tensor((0..<shape.count).shuffled(using: &random).map { 0.1 * Float($0) - 2 }, shape: shape)
      }
    }
  }
}

/// SplitMix64, with normal values by Box and Muller.
struct Random: RandomNumberGenerator {
  var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  mutating func unit() -> Float { Float(next() >> 40) / Float(1 << 24) }

  mutating func normal(_ shape: Shape, deviation: Double = 1) -> Tensor {
    Tensor(
      (0..<shape.count).map { _ in
        let (u, v) = (Double(next() >> 11) + 1, Double(next() >> 11))
        let scale = 1 / Double(UInt64(1) << 53)
        return Float(deviation * sqrt(-2 * log(u * scale)) * cos(2 * Double.pi * v * scale))
      }, shape: shape)
  }
}

extension OperationCase {
  static let all: [OperationCase] =
    elementwise + products + reductions + layouts + rowwise + attentions + planes + convolutions
    + poolings + localMixings + localAttentions + mixtures + fused + general

  private static let elementwise: [OperationCase] = [
    .init(
      name: "add", shapes: [[3, 5], [3, 5]], run: { $0[0] + $0[1] }, reference: { $0[0] + $0[1] }),
    .init(
      name: "add suffix", shapes: [[2, 3, 5], [3, 5]], run: { $0[0] + $0[1] },
      reference: { $0[0] + $0[1] }),
    .init(
      name: "add row", shapes: [[2, 3, 5], [2, 3, 1]], run: { $0[0] + $0[1] },
      reference: { $0[0] + $0[1] }),
    .init(
      name: "add scalar tensor", shapes: [[4, 2], []], run: { $0[0] + $0[1] },
      reference: { $0[0] + $0[1] }),
    .init(
      name: "subtract", shapes: [[7], [7]], run: { $0[0] - $0[1] },
      reference: { $0[0] + $0[1].map { -$0 } }),
    .init(
      name: "subtract from itself", shapes: [[7], [7]], run: { ($0[0] - $0[1]) * ($0[0] - $0[0]) },
      reference: { $0[0].map { _ in 0 } + $0[1].map { _ in 0 } }),
    .init(
      name: "multiply", shapes: [[3, 5], [3, 5]], run: { $0[0] * $0[1] },
      reference: { $0[0] * $0[1] }),
    .init(
      name: "multiply suffix", shapes: [[201, 3], [3]], run: { $0[0] * $0[1] },
      reference: { $0[0] * $0[1] }),
    .init(
      name: "multiply row", shapes: [[4, 3], [4, 1]], run: { $0[0] * $0[1] },
      reference: { $0[0] * $0[1] }),
    .init(
      name: "square", shapes: [[9]], run: { $0[0] * $0[0] }, reference: { $0[0] * $0[0] }),
    .init(
      name: "affine scalar", shapes: [[3, 3]], run: { (-2.5 * $0[0]) + 0.75 },
      reference: { $0[0].map { -2.5 * $0 + 0.75 } }),
    .init(name: "gelu", shapes: [[4, 17]], run: { $0[0].gelu() }, reference: { $0[0].map(gelu) }),
    .init(
      name: "product with a derivative of gelu", shapes: [[9], [9], [9]],
      run: { GELUProduct(order: 1)($0[0], $0[1], $0[2]) },
      reference: { x in
        let h = 1e-5
        return Reference([9]) {
          (gelu(x[0].values[$0] + h) - gelu(x[0].values[$0] - h)) / (2 * h) * x[1].values[$0]
            * x[2].values[$0]
        }
      }),
    .init(
      name: "relu", shapes: [[40]], values: .offKinks, run: { $0[0].relu() },
      reference: { $0[0].map { max($0, 0) } }),
    .init(
      name: "relu6", shapes: [[40]], values: .offKinks, run: { $0[0].relu6() },
      reference: { $0[0].map { min(max($0, 0), 6) } }),
    .init(
      name: "sigmoid", shapes: [[19]], run: { $0[0].sigmoid() },
      reference: { $0[0].map { 1 / (1 + exp(-$0)) } }),
    .init(
      name: "silu", shapes: [[19]], run: { $0[0].silu() },
      reference: { $0[0].map { $0 / (1 + exp(-$0)) } }),
    .init(
      name: "gelu by tanh", shapes: [[19]], run: { $0[0].geluTanh() },
      reference: { $0[0].map(geluTanh) }),
    .init(
      name: "quick gelu", shapes: [[19]], run: { $0[0].quickGELU() },
      reference: { $0[0].map { $0 / (1 + exp(-1.702 * $0)) } }),
    .init(name: "exp", shapes: [[19]], run: { $0[0].exp() }, reference: { $0[0].map { exp($0) } }),
    .init(
      name: "log", shapes: [[19]], values: .positive, run: { $0[0].log() },
      reference: { $0[0].map { log($0) } }),
    .init(
      name: "reciprocal", shapes: [[19]], values: .positive, run: { $0[0].reciprocal() },
      reference: { $0[0].map { 1 / $0 } }),
    .init(
      name: "rsqrt", shapes: [[19]], values: .positive, run: { $0[0].rsqrt() },
      reference: { $0[0].map { 1 / sqrt($0) } }),
  ]

  private static let products: [OperationCase] =
    [(1, 1, 1), (3, 1, 2), (1, 7, 5), (5, 4, 1), (6, 5, 4)].flatMap { m, n, k -> [OperationCase] in
      [(false, false), (false, true), (true, false), (true, true)].map { ta, tb in
        .init(
          name: "matmul \(m)x\(n)x\(k) \(ta ? "t" : "n")\(tb ? "t" : "n")",
          shapes: [ta ? [k, m] : [m, k], tb ? [n, k] : [k, n]],
          run: { MatMul(transposeA: ta, transposeB: tb)($0[0], $0[1]) },
          reference: { x in
            (ta ? x[0].transposed() : x[0]).matmul(tb ? x[1].transposed() : x[1])
          })
      }
    }
    + [199, 200, 201, 800, 801, 1600, 1601].map { rows in
      .init(
        name: "linear \(rows) rows", shapes: [[rows, 3], [5, 3], [5]], isLarge: true,
        run: { linear($0[0], $0[1], bias: $0[2]) },
        reference: { $0[0].matmul($0[1].transposed()) + $0[2] })
    }
    + [
      .init(
        name: "weight gradient of many rows", shapes: [[1601, 4], [1601, 3]], isLarge: true,
        run: { MatMul(transposeA: true)($0[0], $0[1]) },
        reference: { $0[0].transposed().matmul($0[1]) }),
      .init(
        name: "wide weight gradient", shapes: [[5, 3], [5, 801]], isLarge: true,
        run: { MatMul(transposeA: true)($0[0], $0[1]) },
        reference: { $0[0].transposed().matmul($0[1]) }),
      .init(
        name: "linear of tokens", shapes: [[2, 3, 4], [5, 4]], run: { linear($0[0], $0[1]) },
        reference: { $0[0].matmul($0[1].transposed()) }),
      .init(
        name: "matmul without rows", shapes: [[0, 3], [3, 2]], run: { $0[0].matmul($0[1]) },
        reference: { $0[0].matmul($0[1]) }),
      .init(
        name: "matmul without sums", shapes: [[2, 0], [0, 3]], run: { $0[0].matmul($0[1]) },
        reference: { $0[0].matmul($0[1]) }),
    ]

  private static let reductions: [OperationCase] =
    (0..<3).map { axis in
      .init(
        name: "sum over axis \(axis)", shapes: [[3, 4, 5]], run: { $0[0].sum(axis: axis) },
        reference: { $0[0].sum(axis: axis) })
    } + [
      .init(
        name: "sum of all", shapes: [[3, 4]], run: { $0[0].sum() },
        reference: { Reference([], [$0[0].values.reduce(0, +)]) }),
      .init(
        name: "sum keeping the axis", shapes: [[3, 4]],
        run: { $0[0].sum(axis: -1, keepingAxis: true) },
        reference: { $0[0].sum(axis: 1).reshaped([3, 1]) }),
      .init(
        name: "sum of many columns", shapes: [[5, 1100]], isLarge: true,
        run: { $0[0].sum(axis: 0) },
        reference: { $0[0].sum(axis: 0) }),
      .init(
        name: "sum of nothing", shapes: [[0, 3]], run: { $0[0].sum(axis: 0) },
        reference: { $0[0].sum(axis: 0) }),
      .init(
        name: "mean", shapes: [[2, 6, 3]], run: { $0[0].mean(axis: 1) },
        reference: { $0[0].sum(axis: 1).map { $0 / 6 } }),
      .init(
        name: "repeat", shapes: [[2, 3]], run: { $0[0].repeated(4) },
        reference: { x in Reference([4, 2, 3]) { x[0].values[$0 % 6] } }),
      .init(
        name: "global average of a map", shapes: [[2, 2, 3, 4]], run: { $0[0].globalAverage() },
        reference: { $0[0].reshaped([2, 6, 4]).sum(axis: 1).map { $0 / 6 } }),
    ]

  private static let layouts: [OperationCase] = [
    .init(
      name: "reshape", shapes: [[2, 6]], run: { $0[0].reshaped([3, 4]) },
      reference: { $0[0].reshaped([3, 4]) }),
    .init(
      name: "permute", shapes: [[2, 3, 4]], run: { $0[0].permuted([2, 0, 1]) },
      reference: { $0[0].permuted([2, 0, 1]) }),
    .init(
      name: "permute the middle", shapes: [[2, 3, 2, 5]], run: { $0[0].permuted([0, 2, 1, 3]) },
      reference: { $0[0].permuted([0, 2, 1, 3]) }),
    .init(
      name: "permute one axis", shapes: [[3]], run: { $0[0].permuted([0]) },
      reference: { $0[0] }),
    .init(
      name: "permute nothing", shapes: [[2, 0, 3]], run: { $0[0].permuted([2, 1, 0]) },
      reference: { Reference([3, 0, 2], $0[0].values) }),
    .init(
      name: "slice", shapes: [[3, 5, 2]], run: { $0[0].slice(axis: 1, start: 1, length: 3) },
      reference: { $0[0].slice(1, 1, 3) }),
    .init(
      name: "slice the first token", shapes: [[3, 5, 2]],
      run: { $0[0].slice(axis: -2, start: 0, length: 1) }, reference: { $0[0].slice(1, 0, 1) }),
    .init(
      name: "slice of nothing", shapes: [[3, 5]],
      run: { $0[0].slice(axis: 0, start: 3, length: 0) },
      reference: { $0[0].slice(0, 3, 0) }),
    .init(
      name: "pad", shapes: [[2, 3, 2]], run: { $0[0].padded(axis: 1, before: 2, total: 6) },
      reference: { $0[0].padded(1, 2, 6) }),
    .init(
      name: "concatenate", shapes: [[2, 1, 3], [2, 2, 3], [2, 0, 3]],
      run: { Tensor.concatenated($0, axis: 1) }, reference: { Reference.concatenated($0, 1) }),
    .init(
      name: "gather rows with repeats and gaps", shapes: [[2, 4, 3]],
      run: { $0[0].gatherRows([3, 0, -1, 3, 1], rowsIn: 4) },
      reference: { $0[0].gatherRows([3, 0, -1, 3, 1], 4) }),
  ]

  private static let rowwise: [OperationCase] =
    [1, 2, 17, 65].flatMap { cols -> [OperationCase] in
      [
        .init(
          name: "softmax of \(cols)", shapes: [[3, cols]], run: { $0[0].softmax(scale: 0.5) },
          reference: { $0[0].map { 0.5 * $0 }.softmax() }),
        .init(
          name: "log-sum-exp of \(cols)", shapes: [[3, cols]], run: { $0[0].logSumExp() },
          reference: { $0[0].mapRows { [log($0.map { exp($0) }.reduce(0, +))] } }),
        .init(
          name: "layer norm of \(cols)", shapes: [[3, cols], [cols], [cols]],
          run: { $0[0].layerNorm(gamma: $0[1], beta: $0[2], epsilon: 0.1) },
          reference: { $0[0].normalized(0.1) * $0[1] + $0[2] }),
      ]
    } + [
      .init(
        name: "reciprocal deviation", shapes: [[4, 5]], run: { RowRstd(epsilon: 0.1)($0[0]) },
        reference: {
          $0[0].mapRows { row in
            let mean = row.reduce(0, +) / 5
            return [1 / sqrt(row.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / 5 + 0.1)]
          }
        }),
      .init(
        name: "softmax of nothing", shapes: [[0, 4]], run: { $0[0].softmax() },
        reference: { $0[0] }),
      .init(
        name: "cross-entropy", shapes: [[4, 6]],
        run: { $0[0].crossEntropy(targets: softTargets) },
        reference: { x in
          let t = Reference(softTargets)
          return (x[0].softmax().map { -log($0) } * t).sum(axis: 1).reshaped([4, 1])
        }),
    ]

  private static let softTargets = Tensor(
    [
      1, 0, 0, 0, 0, 0, 0.5, 0.5, 0, 0, 0, 0, 0.1, 0.1, 0.1, 0.1, 0.1, 0.5, 0, 0.9, 0, 0, 0.1, 0,
    ], shape: [4, 6])

  private static let attentions: [OperationCase] = [
    .init(
      name: "head scores", shapes: [[2, 3, 4], [2, 5, 4]],
      run: { $0[0].headScores($0[1], heads: 2) },
      reference: { $0[0].headScores($0[1], heads: 2) }),
    .init(
      name: "head apply", shapes: [[2, 2, 3, 5], [2, 5, 4]], run: { $0[0].applied(to: $0[1]) },
      reference: { $0[0].headApply($0[1]) }),
    .init(
      name: "head apply transposed", shapes: [[2, 2, 3, 5], [2, 3, 4]],
      run: { HeadApply(heads: 2, transposed: true)($0[0], $0[1]) },
      reference: { $0[0].permuted([0, 1, 3, 2]).headApply($0[1]) }),
    .init(
      name: "attention, T = S", shapes: [[2, 5, 6], [2, 5, 6], [2, 5, 6]],
      run: { attention($0[0], $0[1], $0[2], heads: 3, scale: 0.7) },
      reference: { Reference.attention($0[0], $0[1], $0[2], heads: 3, scale: 0.7) }),
    .init(
      name: "attention, T != S", shapes: [[2, 3, 4], [2, 7, 4], [2, 7, 4]],
      run: { attention($0[0], $0[1], $0[2], heads: 2, scale: 0.5) },
      reference: { Reference.attention($0[0], $0[1], $0[2], heads: 2, scale: 0.5) }),
    .init(
      name: "attention of one token", shapes: [[2, 1, 4], [2, 1, 4], [2, 1, 4]],
      run: { attention($0[0], $0[1], $0[2], heads: 1, scale: 0.5) },
      reference: { Reference.attention($0[0], $0[1], $0[2], heads: 1, scale: 0.5) }),
    .init(
      name: "attention with a bias", shapes: [[2, 3, 4], [2, 3, 4], [2, 3, 4], [2, 3, 3]],
      run: { attention($0[0], $0[1], $0[2], heads: 2, scale: 0.5, bias: $0[3]) },
      reference: { Reference.attention($0[0], $0[1], $0[2], heads: 2, scale: 0.5, bias: $0[3]) }),
    .init(
      name: "attention with a bias per window",
      shapes: [[4, 3, 4], [4, 3, 4], [4, 3, 4], [2, 2, 3, 3]],
      run: { attention($0[0], $0[1], $0[2], heads: 2, scale: 0.5, bias: $0[3]) },
      reference: { Reference.attention($0[0], $0[1], $0[2], heads: 2, scale: 0.5, bias: $0[3]) }),
    .init(
      name: "packed attention", shapes: [[2, 4, 18]],
      run: { attention(qkv: $0[0], heads: 3, scale: 0.6) },
      reference: { x in
        let parts = (0..<3).map { x[0].slice(2, 6 * $0, 6) }
        return Reference.attention(parts[0], parts[1], parts[2], heads: 3, scale: 0.6)
      }),
    .init(
      name: "packed attention of one token", shapes: [[2, 1, 6]],
      run: { attention(qkv: $0[0], heads: 1, scale: 0.6) },
      reference: { $0[0].slice(2, 4, 2) }),
    .init(
      name: "packed attention, 19 tokens", shapes: [[1, 19, 12]],
      run: { attention(qkv: $0[0], heads: 1, scale: 0.5) },
      reference: { x in
        let parts = (0..<3).map { x[0].slice(2, 4 * $0, 4) }
        return Reference.attention(parts[0], parts[1], parts[2], heads: 1, scale: 0.5)
      }),
    .init(
      name: "packed attention with a bias", shapes: [[4, 3, 12], [2, 2, 3, 3]],
      run: { attention(qkv: $0[0], heads: 2, scale: 0.6, bias: $0[1]) },
      reference: { x in
        let parts = (0..<3).map { x[0].slice(2, 4 * $0, 4) }
        return Reference.attention(
          parts[0], parts[1], parts[2], heads: 2, scale: 0.6, bias: x[1])
      }),
    .init(
      name: "attention with looked-at maps", shapes: [[1, 3, 4], [1, 3, 4], [1, 3, 4]],
      run: { attention($0[0], $0[1], $0[2], heads: 2, scale: 0.5, maps: { 0.5 * $0 }) },
      reference: {
        Reference.attention($0[0], $0[1], $0[2], heads: 2, scale: 0.5).map { 0.5 * $0 }
      }),
  ]

  private static let planes: [OperationCase] =
    [(2, 3), (4, 1), (1, 5)].flatMap { inputs, outputs -> [OperationCase] in
      [
        .init(
          name: "planes mixed, \(inputs) to \(outputs)",
          shapes: [[2, inputs, 3, 4], [outputs, inputs]], run: { $0[0].mixedPlanes($0[1]) },
          reference: { $0[0].mixedPlanes($0[1]) }),
        .init(
          name: "planes mixed by the transpose, \(inputs) to \(outputs)",
          shapes: [[2, inputs, 3, 4], [inputs, outputs]],
          run: { PlaneMix(transposed: true)($0[0], $0[1]) },
          reference: { $0[0].mixedPlanes($0[1].transposed()) }),
      ]
    }
    + [(1, 4, 5), (2, 3, 4), (3, 5, 4), (3, 1, 2), (3, 2, 1), (3, 4, 3), (4, 5, 3), (5, 3, 6)]
    .flatMap { k, rows, cols -> [OperationCase] in
      [
        .init(
          name: "planes \(rows)x\(cols) under \(k)x\(k)",
          shapes: [[2, 3, rows, cols], [3, k, k]],
          run: { $0[0].depthwisePlanes($0[1]) },
          reference: { $0[0].depthwisePlanes($0[1], before: (k - 1) / 2) }),
        .init(
          name: "adjoint of planes \(rows)x\(cols) under \(k)x\(k)",
          shapes: [[2, 3, rows, cols], [3, k, k]],
          run: { PlaneDepthwise(isAdjoint: true)($0[0], $0[1]) },
          reference: { x in
            var flipped = x[1]
            for place in Reference.places(flipped.shape) {
              flipped[place[0], place[1], place[2]] =
                x[1][place[0], k - 1 - place[1], k - 1 - place[2]]
            }
            return x[0].depthwisePlanes(flipped, before: k / 2)
          }),
      ]
    } + [
      .init(
        name: "planes affine", shapes: [[2, 3, 2, 4], [3], [3]],
        run: { ChannelAffine(scale: $0[1], shift: $0[2]).onPlanes($0[0]) },
        reference: { x in
          Reference(x[0].shape) { i in
            x[0].values[i] * x[1].values[i / 8 % 3] + x[2].values[i / 8 % 3]
          }
        }),
      .init(
        name: "refined maps", shapes: [[2, 2, 6, 5], [4, 2], [4, 3, 3], [2, 4]],
        run: { MapRefinement(expand: $0[1], local: $0[2], reduce: $0[3], addsInput: true)($0[0]) },
        reference: { x in
          x[0].mixedPlanes(x[1]).depthwisePlanes(x[2], before: 1).mixedPlanes(x[3]) + x[0]
        }),
      refinedMaps("shifts and affine", [40, 37], .gelu, isLarge: true, scale: 0.3, gelu),
      // Scales and offsets keep the sums off the kinks, some of them below 0 and some above 6.
      refinedMaps("rectified", [4, 3], .relu6, scale: 0.02, offsets: [3, -3, 9, 4]) {
        min(max($0, 0), 6)
      },
      .init(
        name: "attention maps", shapes: [[2, 5, 18]],
        run: { attentionMaps(qkv: $0[0], heads: 3, scale: 0.6) },
        reference: { x in
          x[0].slice(2, 0, 6).headScores(x[0].slice(2, 6, 6), heads: 3).map { 0.6 * $0 }.softmax()
        }),
      .init(
        name: "attention maps and carried ones", shapes: [[2, 5, 18], [2, 3, 5, 5]],
        run: {
          attentionMaps(qkv: $0[0], heads: 3, scale: 0.6, carried: $0[1], carriedScale: 0.3)
        },
        reference: { x in
          x[0].slice(2, 0, 6).headScores(x[0].slice(2, 6, 6), heads: 3).map { 0.6 * $0 }.softmax()
            + x[1].map { 0.3 * $0 }
        }),
    ]

  private static func refinedMaps(
    _ name: String, _ plane: [Int], _ activation: Activation, isLarge: Bool = false,
    scale: Float = 1, offsets: [Float] = [0, 0, 0, 0],
    _ formula: @escaping @Sendable (Double) -> Double
  ) -> OperationCase {
    let places = plane[0] * plane[1]
    return .init(
      name: "refined maps, \(name)",
      shapes: [[1, 2, plane[0], plane[1]], [4, 2], [4], [4, 3, 3], [4], [2, 4], [2], [2], [2]],
      isLarge: isLarge,
      run: { x in
        let offsets = Tensor(offsets, shape: [4])
        return MapRefinement(
          expand: scale * x[1], expandShift: scale * x[2] + offsets, local: scale * x[3],
          localShift: scale * x[4] + offsets, reduce: x[5], reduceShift: x[6],
          activation: activation, affine: ChannelAffine(scale: x[7], shift: x[8]))(x[0])
      },
      reference: { x in
        let scale = Double(scale)
        func shifted(_ y: Reference, _ v: Reference) -> Reference {
          Reference(y.shape) { y.values[$0] + v.values[$0 / places] }
        }
        func hidden(_ y: Reference, _ v: Reference) -> Reference {
          let shift = Reference(v.shape) { scale * v.values[$0] + Double(offsets[$0]) }
          return shifted(y.map { scale * $0 }, shift).map(formula)
        }
        let wide = hidden(x[0].mixedPlanes(x[1]), x[2])
        let local = hidden(wide.depthwisePlanes(x[3], before: 1), x[4])
        let y = shifted(local.mixedPlanes(x[5]), x[6])
        return Reference(y.shape) {
          y.values[$0] * x[7].values[$0 / places] + x[8].values[$0 / places]
        }
      })
  }

  private static let windows: [(String, Int, Int, TestWindow)] = [
    ("1x1", 3, 4, .init(height: 1, width: 1)),
    ("1x1 stride 2", 5, 4, .init(height: 1, width: 1, stride: 2)),
    ("3x3 padded", 4, 5, .init(height: 3, width: 3, padding: (1, 1, 1, 1))),
    ("3x3 stride 2", 7, 6, .init(height: 3, width: 3, stride: 2, padding: (1, 1, 1, 1))),
    ("7x7 stride 2", 9, 8, .init(height: 7, width: 7, stride: 2, padding: (3, 3, 3, 3))),
    ("patches of 3", 6, 9, .init(height: 3, width: 3, stride: 3)),
    ("1x3 uneven padding", 3, 4, .init(height: 1, width: 3, padding: (0, 2, 1, 0))),
    ("2x2 ceil", 5, 6, .init(height: 2, width: 2, stride: 2, ceil: true)),
    (
      "3x3 ceil padded", 6, 7,
      .init(height: 3, width: 3, stride: 2, padding: (1, 1, 1, 1), ceil: true)
    ),
    ("window wider than the map", 1, 2, .init(height: 3, width: 3, padding: (1, 1, 1, 1))),
  ]

  private static let convolutions: [OperationCase] =
    windows.flatMap { name, h, w, window -> [OperationCase] in
      [
        .init(
          name: "convolution \(name)",
          shapes: [[2, h, w, 2], [3, window.height, window.width, 2]],
          run: { convolution($0[0], $0[1], window: window.window) },
          reference: { $0[0].convolved($0[1], window) }),
        .init(
          name: "depthwise \(name)", shapes: [[2, h, w, 3], [window.height, window.width, 3]],
          run: { $0[0].depthwise($0[1], window: window.window) },
          reference: { $0[0].depthwise($0[1], window) }),
      ]
    } + [
      .init(
        name: "many small images", shapes: [[40, 12, 11, 2], [3, 3, 2, 2]], isLarge: true,
        run: {
          convolution(
            $0[0], $0[1], window: .init(kernel: (3, 2), stride: (2, 2), padding: (1, 0, 1, 1)))
        },
        reference: {
          $0[0].convolved($0[1], .init(height: 3, width: 2, stride: 2, padding: (1, 0, 1, 1)))
        }),
      .init(
        name: "few rows of large patches", shapes: [[3, 2, 2, 40], [50, 3, 3, 40]], isLarge: true,
        run: { convolution($0[0], $0[1], window: .init(kernel: 3, stride: 2, padding: 1)) },
        reference: {
          $0[0].convolved(
            $0[1], .init(height: 3, width: 3, stride: 2, padding: (1, 1, 1, 1)))
        }),
      .init(
        name: "convolution over tiles", shapes: [[2, 21, 30, 2], [3, 3, 3, 2]], isLarge: true,
        run: { convolution($0[0], $0[1], window: .init(kernel: 3, padding: 1)) },
        reference: {
          $0[0].convolved($0[1], .init(height: 3, width: 3, padding: (1, 1, 1, 1)))
        }),
      .init(
        name: "convolution in 3 groups", shapes: [[2, 4, 5, 6], [9, 3, 3, 2]],
        run: { convolution($0[0], $0[1], window: .init(kernel: 3, padding: 1), groups: 3) },
        reference: { $0[0].convolved($0[1], groups: 3, dilation: 1) }),
      .init(
        name: "convolution in 3 groups of 20", shapes: [[1, 3, 2, 60], [3, 1, 1, 20]],
        isLarge: true,
        run: { convolution($0[0], $0[1], window: .init(kernel: 1), groups: 3) },
        reference: { $0[0].convolved($0[1], groups: 3, dilation: 1) }),
      .init(
        name: "convolution in 2 wide groups", shapes: [[1, 3, 2, 66], [4, 1, 1, 33]], isLarge: true,
        run: { convolution($0[0], $0[1], window: .init(kernel: 1), groups: 2) },
        reference: { $0[0].convolved($0[1], groups: 2, dilation: 1) }),
      .init(
        name: "convolution of dilation 2", shapes: [[2, 5, 6, 2], [3, 3, 3, 2]],
        run: { convolution($0[0], $0[1], window: .init(kernel: 3, padding: 2, dilation: 2)) },
        reference: { $0[0].convolved($0[1], groups: 1, dilation: 2) }),
      .init(
        name: "convolution of dilation 4 in 2 groups, affine, residual, silu",
        shapes: [[1, 7, 3, 4], [4, 3, 3, 2], [4], [4], [1, 7, 3, 4]],
        run: {
          convolution(
            $0[0], $0[1], window: .init(kernel: 3, padding: 4, dilation: 4), groups: 2,
            affine: .init(scale: $0[2], shift: $0[3]), residual: $0[4], activation: .silu)
        },
        reference: {
          ($0[0].convolved($0[1], groups: 2, dilation: 4) * $0[2] + $0[3] + $0[4])
            .map { $0 / (1 + exp(-$0)) }
        }),
      .init(
        name: "pointwise convolution over tiles", shapes: [[3, 20, 27, 2], [3, 1, 1, 2]],
        isLarge: true, run: { convolution($0[0], $0[1], window: .init(kernel: 1)) },
        reference: { $0[0].convolved($0[1], .init(height: 1, width: 1)) }),
    ]

  private static let poolings: [OperationCase] = windows.filter { $0.0 != "1x3 uneven padding" }
    .map { name, h, w, window in
      .init(
        name: "max pool \(name)", shapes: [[2, h, w, 2]], values: .distinct,
        run: { $0[0].maxPooled(window.window) }, reference: { $0[0].maxPooled(window) })
    }

  private static let localMixings: [OperationCase] = [
    ("of each image and place", 2, 6), ("of each image", 2, 1), ("of each place", 1, 6),
    ("shared", 1, 1),
  ].flatMap { name, images, places -> [OperationCase] in
    let window = SlidingWindow(kernel: (3, 2), stride: (2, 2), padding: (1, 0, 2, 1))
    let plain = PlainLocalMixing(
      window: window, map: [2, 5, 4, 4], weights: [images, places, 6, 2])
    return [
      .init(
        name: "local mixing, weights \(name)", shapes: [plain.map, plain.weights],
        run: { $0[0].locallyMixed($0[1], window: window) },
        reference: { plain.results($0[0], $0[1]) }),
      .init(
        name: "local spreading, weights \(name)", shapes: [plain.output, plain.weights],
        run: { LocalSpreading(window: window, map: plain.map)($0[0], $0[1]) },
        reference: { plain.mapGradient($0[0], $0[1]) }),
      .init(
        name: "local correlation, weights \(name)", shapes: [plain.map, plain.output],
        run: { LocalCorrelation(window: window, weights: plain.weights)($0[0], $0[1]) },
        reference: { plain.weightGradient($0[0], $0[1]) }),
    ]
  }

  /// Two heads in windows of 3 x 3, with and without vectors of offsets `[9, 4]`, and a softmax a channel.
  private static let localAttentions: [OperationCase] = [(true, 2), (false, 2), (true, 4)].map {
    hasPositions, heads in
    let window = SlidingWindow(kernel: 3, padding: 1)
    let plain = PlainLocalMixing(window: window, map: [1, 2, 3, 4], weights: [1, 6, 9, heads])
    return .init(
      name: "local attention of \(heads) heads, \(hasPositions ? "" : "no ")positions",
      shapes: [plain.map, plain.map, plain.map] + (hasPositions ? [[9, 4]] : []),
      run: {
        localAttention(
          queries: $0[0], keys: $0[1], values: $0[2], window: window, heads: heads, scale: 0.7,
          positions: hasPositions ? $0[3] : nil)
      },
      reference: {
        var scores = plain.weightGradient($0[1], $0[0])
        if hasPositions {
          let (queries, vectors, width) = ($0[0].reshaped([6, 4]), $0[3], 4 / heads)
          let parts = (0..<heads).map { head in
            queries.slice(1, head * width, width)
              .matmul(vectors.slice(1, head * width, width).transposed()).reshaped([1, 6, 9, 1])
          }
          scores = scores + Reference.concatenated(parts, 3)
        }
        let weights = scores.map { 0.7 * $0 }.permuted([0, 1, 3, 2]).softmax()
        return plain.results($0[2], weights.permuted([0, 1, 3, 2]))
      })
  }

  /// Windows of 2 x 2, one place before; each tap reads a mixture of three sets of values.
  private static let mixtures: [OperationCase] = [2, 4].map { heads in
    let window = SlidingWindow(kernel: (2, 2), padding: (1, 1, 0, 0))
    let plain = PlainLocalMixing(window: window, map: [1, 2, 3, 4], weights: [1, 6, 4, heads])
    return .init(
      name: "local attention of \(heads) heads to mixtures",
      shapes: [plain.map, plain.map, [1, 2, 3, 12], [4, 3]],
      run: {
        localAttention(
          queries: $0[0], keys: $0[1], values: $0[2], window: window, heads: heads, scale: 0.7,
          shares: $0[3])
      },
      reference: {
        let scores = plain.weightGradient($0[1], $0[0]).map { 0.7 * $0 }
        let weights = scores.permuted([0, 1, 3, 2]).softmax().permuted([0, 1, 3, 2])
        let (values, shares) = ($0[2], $0[3])
        let parts = (0..<3).map { set in
          // The weights of each tap times its share of the set.
          let own = Reference(weights.shape) {
            weights.values[$0] * shares.values[$0 / heads % 4 * 3 + set]
          }
          return plain.results(values.slice(3, set * 4, 4), own)
        }
        return parts[0] + parts[1] + parts[2]
      })
  }

  private static let fused: [OperationCase] =
    [Activation.none, .gelu, .geluTanh, .quickGELU, .relu, .relu6, .silu].flatMap {
      activation -> [OperationCase] in
      let f: @Sendable (Double) -> Double =
        switch activation {
        case .none: { $0 }
        case .gelu: { gelu($0) }
        case .relu: { max($0, 0) }
        case .relu6: { min(max($0, 0), 6) }
        case .geluTanh: { geluTanh($0) }
        case .quickGELU: { $0 / (1 + exp(-1.702 * $0)) }
        case .silu: { $0 / (1 + exp(-$0)) }
        }
      return [
        .init(
          name: "linear, \(activation), gain and residual",
          shapes: [[2, 3, 4], [5, 4], [5], [5], [2, 3, 5]],
          run: {
            linear(
              $0[0], $0[1], bias: $0[2], activation: activation, gain: $0[3], residual: $0[4])
          },
          reference: { ($0[0].matmul($0[1].transposed()) + $0[2]).map(f) * $0[3] + $0[4] }),
        .init(
          name: "convolution, affine, residual, \(activation)",
          shapes: [[1, 4, 4, 2], [3, 3, 3, 2], [3], [3], [1, 2, 2, 3]],
          run: {
            convolution(
              $0[0], $0[1], window: .init(kernel: 3),
              affine: .init(scale: $0[2], shift: $0[3]), residual: $0[4], activation: activation)
          },
          reference: {
            ($0[0].convolved($0[1], .init(height: 3, width: 3)) * $0[2] + $0[3] + $0[4]).map(f)
          }),
        .init(
          name: "affine, \(activation)", shapes: [[2, 3, 4], [4], [4]],
          run: { ChannelAffine(scale: $0[1], shift: $0[2])($0[0], activation: activation) },
          reference: { ($0[0] * $0[1] + $0[2]).map(f) }),
      ]
    }
}
