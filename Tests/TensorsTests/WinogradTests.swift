import Testing

@testable import Tensors

/// Transformed tiles against plain Float64 sums.
@Suite struct WinogradTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var map: Shape
    var out: Int
    var padding: (Int, Int, Int, Int)
    var testDescription: String { "\(map) to \(out), padding \(padding)" }
  }

  static let cases: [Case] = [
    Case(map: [1, 24, 24, 16], out: 16, padding: (1, 1, 1, 1)),
    Case(map: [5, 7, 7, 32], out: 48, padding: (1, 1, 1, 1)),
    Case(map: [2, 13, 18, 16], out: 32, padding: (1, 1, 1, 1)),
    Case(map: [2, 15, 14, 48], out: 16, padding: (0, 0, 0, 0)),
    Case(map: [3, 9, 11, 16], out: 16, padding: (2, 2, 2, 2)),
    Case(map: [2, 12, 12, 16], out: 80, padding: (0, 1, 2, 1)),
  ]

  private func window(_ c: Case) -> SlidingWindow {
    SlidingWindow(kernel: (3, 3), padding: c.padding)
  }

  private func plain(_ c: Case) -> PlainConvolution {
    PlainConvolution(window: window(c), map: c.map, weight: [c.out, 3, 3, c.map[3]])
  }

  @Test(arguments: cases)
  func resultsAreThoseOfPlainSums(_ c: Case) throws {
    var random = Random(seed: 3)
    let (x, weight) = (random.normal(c.map), random.normal(plain(c).weight))
    // The case is one that takes this way.
    let _ = try #require(WinogradConvolution(window(c), c.map, plain(c).output))
    let y = Convolution(window: window(c))(x, weight)
    #expect(largestError(y, plain(c).results(x, weight)) <= 1e-5)
  }

  @Test(arguments: cases)
  func theInputGradientIsThatOfPlainSums(_ c: Case) throws {
    var random = Random(seed: 4)
    let (u, weight) = (random.normal(plain(c).output), random.normal(plain(c).weight))
    let _ = try #require(WinogradConvolution(adjointOf: window(c), u.shape, c.map))
    let dx = ConvolutionInputGradient(window: window(c), input: c.map)(u, weight)
    #expect(largestError(dx, plain(c).inputGradient(u, weight)) <= 1e-5)
  }

  /// The last case has more tiles than are transformed at once.
  @Test(
    arguments: cases + [Case(map: [26, 23, 21, 16], out: 16, padding: (1, 1, 1, 1))])
  func theWeightGradientIsThatOfPlainSums(_ c: Case) throws {
    var random = Random(seed: 6)
    let (x, u) = (random.normal(c.map), random.normal(plain(c).output))
    let _ = try #require(WinogradWeightGradient(window(c), c.map, u.shape))
    let dw = ConvolutionWeightGradient(window: window(c), weight: plain(c).weight)(x, u)
    #expect(largestError(dw, plain(c).weightGradient(x, u)) <= 1e-5)
  }

  @Test(arguments: [Activation.none, .relu, .relu6, .gelu])
  func whatFollowsIsTheSameAsOnItsOwn(_ activation: Activation) {
    let c = Self.cases[1]
    var random = Random(seed: 5)
    let (x, weight) = (random.normal(c.map), random.normal([c.out, 3, 3, c.map[3]]))
    let affine = ChannelAffine(scale: random.normal([c.out]), shift: random.normal([c.out]))
    let plain = convolution(x, weight, window: window(c))
    let residual = random.normal(plain.shape)
    let fused = convolution(
      x, weight, window: window(c), affine: affine, residual: residual, activation: activation)
    let steps = affine(plain, residual: residual, activation: activation)
    for (a, b) in zip(fused.values, steps.values) {
      #expect(abs(a - b) <= 1e-5 * max(1, abs(b)))
    }
  }

  @Test func otherWindowsTakeTheOtherWay() {
    let map: Shape = [4, 16, 16, 16]
    #expect(
      WinogradConvolution(SlidingWindow(kernel: 3, stride: 2, padding: 1), map, [4, 8, 8, 16])
        == nil)
    #expect(WinogradConvolution(SlidingWindow(kernel: 5, padding: 2), map, map) == nil)
    #expect(WinogradConvolution(SlidingWindow(kernel: 3, padding: 1), [4, 16, 16, 3], map) == nil)
    #expect(
      WinogradConvolution(SlidingWindow(kernel: 3, padding: 1), [1, 4, 4, 16], [1, 4, 4, 16]) == nil
    )
  }
}
