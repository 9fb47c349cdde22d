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

  private func window(_ c: Case) -> Window {
    Window(height: 3, width: 3, stride: 1, padding: c.padding)
  }

  /// Sums in Float64 over the window's places, with the map's value (n, y, x, c) and the weight's.
  private func sums(_ c: Case, _ x: [Float], _ w: [Float], _ output: Shape) -> [Double] {
    let (h, width, channels) = (c.map[1], c.map[2], c.map[3])
    var result = [Double](repeating: 0, count: output.count)
    var at = 0
    for n in 0..<output[0] {
      for oy in 0..<output[1] {
        for ox in 0..<output[2] {
          for o in 0..<c.out {
            for ky in 0..<3 {
              for kx in 0..<3 {
                let (iy, ix) = (oy + ky - c.padding.0, ox + kx - c.padding.1)
                guard iy >= 0, ix >= 0, iy < h, ix < width else { continue }
                let (from, tap) = (
                  ((n * h + iy) * width + ix) * channels, ((o * 3 + ky) * 3 + kx) * channels
                )
                for i in 0..<channels { result[at] += Double(x[from + i]) * Double(w[tap + i]) }
              }
            }
            at += 1
          }
        }
      }
    }
    return result
  }

  @Test(arguments: cases)
  func resultsAreThoseOfPlainSums(_ c: Case) throws {
    var random = Random(seed: 3)
    let x = random.normal(c.map)
    let weight = random.normal([c.out, 3, 3, c.map[3]])
    let operation = Convolution(window: window(c))
    let output = operation.outputShape([c.map, weight.shape])
    // The case is one that takes this way.
    let _ = try #require(WinogradConvolution(window(c), c.map, output))
    let y = operation(x, weight).values
    let expected = sums(c, x.values, weight.values, output)
    let largest = expected.reduce(0) { max($0, abs($1)) }
    let worst = zip(y, expected).reduce(0) { max($0, abs(Double($1.0) - $1.1)) }
    #expect(worst <= 1e-5 * largest)
  }

  /// `<conv(x), u> = <x, adjoint(u)>` for every u: here, u one value at a time is the column itself.
  @Test(arguments: cases)
  func theAdjointIsTheTranspose(_ c: Case) throws {
    var random = Random(seed: 4)
    let weight = random.normal([c.out, 3, 3, c.map[3]])
    let operation = Convolution(window: window(c))
    let output = operation.outputShape([c.map, weight.shape])
    let (x, u) = (random.normal(c.map), random.normal(output))
    let _ = try #require(WinogradConvolution(adjointOf: window(c), output, c.map))
    let dx = ConvolutionInputGradient(window: window(c), input: c.map)(u, weight).values
    let y = sums(c, x.values, weight.values, output)
    let one = zip(y, u.values).reduce(0) { $0 + $1.0 * Double($1.1) }
    let other = zip(dx, x.values).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    let scale = zip(y, u.values).reduce(0) { $0 + abs($1.0 * Double($1.1)) }
    #expect(abs(one - other) <= 1e-6 * scale)
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
      WinogradConvolution(Window(kernel: 3, stride: 2, padding: 1), map, [4, 8, 8, 16]) == nil)
    #expect(WinogradConvolution(Window(kernel: 5, padding: 2), map, map) == nil)
    #expect(WinogradConvolution(Window(kernel: 3, padding: 1), [4, 16, 16, 3], map) == nil)
    #expect(
      WinogradConvolution(Window(kernel: 3, padding: 1), [1, 4, 4, 16], [1, 4, 4, 16]) == nil)
  }
}
