import Testing

@testable import Tensors

/// `<A x, y> == <x, Aᵀ y>` for the pairs of linear operations that stand for one another's cotangents.
@Suite struct AdjointTests {
  struct Pair: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var x: Shape
    var y: Shape
    var forward: @Sendable (Tensor) -> Tensor
    var adjoint: @Sendable (Tensor) -> Tensor
  }

  static let window = SlidingWindow(kernel: (3, 2), stride: (2, 2), padding: (1, 0, 2, 1))
  static let weight = Tensor((0..<36).map { Float($0 % 7) - 3 }, shape: [3, 3, 2, 2])
  static let taps = Tensor((0..<12).map { Float($0 % 5) - 2 }, shape: [1, 1, 6, 2])
  static let map = Tensor((0..<80).map { Float($0 % 11) - 5 }, shape: [2, 5, 4, 2])

  static let pairs: [Pair] = [
    .init(
      testDescription: "convolution in its map", x: [2, 5, 4, 2], y: [2, 3, 2, 3],
      forward: { Convolution(window: window)($0, weight) },
      adjoint: { ConvolutionInputGradient(window: window, input: [2, 5, 4, 2])($0, weight) }),
    .init(
      testDescription: "convolution in its weights", x: [3, 3, 2, 2], y: [2, 3, 2, 3],
      forward: { Convolution(window: window)(map, $0) },
      adjoint: { ConvolutionWeightGradient(window: window, weight: [3, 3, 2, 2])(map, $0) }),
    .init(
      testDescription: "depthwise in its map", x: [2, 5, 4, 2], y: [2, 3, 2, 2],
      forward: { LocalMixing(window: window)($0, taps) },
      adjoint: { LocalSpreading(window: window, map: [2, 5, 4, 2])($0, taps) }),
    .init(
      testDescription: "depthwise in its weights", x: [1, 1, 6, 2], y: [2, 3, 2, 2],
      forward: { LocalMixing(window: window)(map, $0) },
      adjoint: { LocalCorrelation(window: window, weights: [1, 1, 6, 2])(map, $0) }),
    .init(
      testDescription: "gather and scatter of rows", x: [2, 4, 3], y: [2, 6, 3],
      forward: { GatherRows(index: [3, 0, -1, 3, 1, 3], rowsIn: 4)($0) },
      adjoint: { ScatterRows(index: [3, 0, -1, 3, 1, 3], rowsIn: 4)($0) }),
    .init(
      testDescription: "sum and expansion", x: [2, 5, 3], y: [2, 3],
      forward: { SumAxis(outer: 2, count: 5, result: [2, 3])($0) },
      adjoint: { ExpandAxis(outer: 2, count: 5, result: [2, 5, 3])($0) }),
    .init(
      testDescription: "slice and padding", x: [2, 7, 3], y: [2, 4, 3],
      forward: { Slice(axis: 1, start: 2, length: 4)($0) },
      adjoint: { Pad(axis: 1, before: 2, total: 7)($0) }),
    .init(
      testDescription: "permutation and its inverse", x: [2, 3, 4, 5], y: [5, 2, 4, 3],
      forward: { $0.permuted([3, 0, 2, 1]) }, adjoint: { $0.permuted([1, 3, 2, 0]) }),
  ]

  @Test(arguments: pairs)
  func innerProductsAgree(_ pair: Pair) {
    var random = Random(seed: 3)
    let (x, y) = (random.normal(pair.x), random.normal(pair.y))
    let (ax, aty) = (pair.forward(x), pair.adjoint(y))
    #expect(ax.shape == pair.y)
    #expect(aty.shape == pair.x)
    func inner(_ a: Tensor, _ b: Tensor) -> Double {
      dot(a.values.map(Double.init), b.values.map(Double.init))
    }
    let scale = norm(ax.values.map(Double.init)) * norm(y.values.map(Double.init))
    #expect(abs(inner(ax, y) - inner(x, aty)) <= 1e-6 * scale)
  }
}
