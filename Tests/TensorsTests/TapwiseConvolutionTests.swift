import Testing

@testable import Tensors

/// Products by pairs of place and tap against plain Float64 sums.
@Suite struct TapwiseConvolutionTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var map: Shape
    var weight: Shape
    var window: SlidingWindow
    var testDescription: String { "\(map) by \(weight), stride \(window.stride.height)" }

    var plain: PlainConvolution { PlainConvolution(window: window, map: map, weight: weight) }
  }

  static let cases: [Case] = [
    // Only the middle tap meets the map: the other weights have no gradient.
    Case(map: [24, 1, 1, 40], weight: [33, 3, 3, 40], window: .init(kernel: 3, padding: 1)),
    Case(map: [25, 2, 2, 7], weight: [150, 3, 3, 7], window: .init(kernel: 3, padding: 1)),
    Case(map: [300, 2, 2, 5], weight: [3, 3, 3, 5], window: .init(kernel: 3, padding: 1)),
    Case(
      map: [36, 2, 2, 24], weight: [16, 3, 3, 24], window: .init(kernel: 3, stride: 2, padding: 1)),
    Case(
      map: [24, 4, 4, 6], weight: [9, 3, 3, 6], window: .init(kernel: 3, stride: 2, padding: 1)),
    Case(map: [13, 3, 2, 8], weight: [12, 5, 5, 8], window: .init(kernel: 5, padding: 2)),
    // One place in four is under no window.
    Case(
      map: [12, 2, 4, 8], weight: [20, 1, 2, 8],
      window: .init(kernel: (1, 2), stride: (3, 3), padding: (0, 1, 0, 0))),
    // Results whose window lies wholly outside are zeros.
    Case(
      map: [12, 1, 2, 8], weight: [20, 2, 2, 8],
      window: .init(kernel: (2, 2), stride: (2, 2), padding: (0, 0, 3, 0))),
  ]

  @Test(arguments: cases)
  func resultsAreThoseOfPlainSums(_ c: Case) throws {
    var random = Random(seed: 11)
    let (x, weight) = (random.normal(c.map), random.normal(c.weight))
    // The case is one that takes this way.
    let _ = try #require(TapwiseConvolution(c.window, c.map, c.plain.output))
    let y = Convolution(window: c.window)(x, weight)
    #expect(largestError(y, c.plain.results(x, weight)) <= 2e-6)
  }

  @Test(arguments: cases)
  func gradientsAreThoseOfPlainSums(_ c: Case) throws {
    var random = Random(seed: 12)
    let (x, weight) = (random.normal(c.map), random.normal(c.weight))
    let dy = random.normal(c.plain.output)
    let dx = ConvolutionInputGradient(window: c.window, input: c.map)(dy, weight)
    let dw = ConvolutionWeightGradient(window: c.window, weight: c.weight)(x, dy)
    #expect(largestError(dx, c.plain.inputGradient(dy, weight)) <= 2e-6)
    #expect(largestError(dw, c.plain.weightGradient(x, dy)) <= 2e-6)
  }

  @Test func whatFollowsIsTheSameAsOnItsOwn() {
    let c = Self.cases[1]
    var random = Random(seed: 13)
    let (x, weight) = (random.normal(c.map), random.normal(c.weight))
    let channels = c.weight[0]
    let affine = ChannelAffine(scale: random.normal([channels]), shift: random.normal([channels]))
    let plain = convolution(x, weight, window: c.window)
    let residual = random.normal(plain.shape)
    let fused = convolution(
      x, weight, window: c.window, affine: affine, residual: residual, activation: .relu)
    let steps = affine(plain, residual: residual, activation: .relu)
    #expect(largestError(fused, steps.values.map(Double.init)) <= 1e-6)
  }

  /// Large maps, few images and windows of one tap gain nothing.
  @Test func otherMapsTakeTheOtherWay() {
    let window = SlidingWindow(kernel: 3, padding: 1)
    #expect(TapwiseConvolution(window, [64, 8, 8, 16], [64, 8, 8, 16]) == nil)
    #expect(TapwiseConvolution(window, [2, 2, 2, 16], [2, 2, 2, 16]) == nil)
    #expect(
      TapwiseConvolution(SlidingWindow(kernel: 1, stride: 2), [64, 2, 2, 16], [64, 1, 1, 16]) == nil
    )
  }
}
