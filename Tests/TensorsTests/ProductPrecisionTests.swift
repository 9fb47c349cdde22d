import Testing

@testable import Tensors

/// Products in bfloat16: what is rounded, where, and what stays exact.
@Suite struct ProductPrecisionTests {
  /// The nearest value of 8 significant bits, ties to even.
  private func rounded(_ value: Float) -> Double {
    guard value != 0, value.isFinite else { return Double(value) }
    let unit = Float(sign: .plus, exponent: value.exponent - 7, significand: 1)
    return Double((value / unit).rounded(.toNearestOrEven) * unit)
  }

  /// Of exact products of rounded values, sums alone are inexact.
  @Test(arguments: [(40, 33, 65), (7, 100, 1601), (300, 64, 32)])
  func operandsAreRoundedAndSumsAreNot(_ m: Int, _ n: Int, _ k: Int) {
    var random = Random(seed: 5)
    let (a, b) = (random.normal([m, k]), random.normal([n, k]))
    let product = ProductPrecision.emulatedBFloat16 { linear(a, b) }.values
    let (ra, rb) = (a.values.map(rounded), b.values.map(rounded))
    for i in 0..<m {
      for j in 0..<n {
        var (sum, size) = (0.0, 0.0)
        for p in 0..<k {
          let term = ra[i * k + p] * rb[j * k + p]
          sum += term
          size += abs(term)
        }
        #expect(abs(Double(product[i * n + j]) - sum) <= 6e-8 * Double(k + 2) * size)
      }
    }
    #expect(product != linear(a, b).values)
  }

  @Test(.enabled(if: ProductPrecision.bfloat16.isAvailable))
  func emulationHasTheBitsOfTheProcessor() {
    var random = Random(seed: 6)
    let (x, w) = (random.normal([2, 9, 9, 33]), random.normal([40, 3, 3, 33]))
    let window = SlidingWindow(kernel: 3, stride: 2, padding: 1)
    func compute(_ precision: ProductPrecision) -> [Float] {
      precision { convolution(x, w, window: window) }.values
    }
    #expect(compute(.bfloat16) == compute(.emulatedBFloat16))
    #expect(compute(.bfloat16) != compute(.float32))
  }

  /// One value says with which precision it was multiplied: 1 + 2^-12 is rounded to 1.
  private func current() -> ProductPrecision {
    let value = Tensor([1 + 0x1p-12], shape: [1, 1])
    let one = Tensor([1], shape: [1, 1])
    return linear(value, one).values == [1] ? .emulatedBFloat16 : .float32
  }

  @Test func threadsComputeAsTheirCallerAsks() {
    #expect(current() == .float32)
    ProductPrecision.emulatedBFloat16 {
      #expect(current() == .emulatedBFloat16)
      Threads.perform(64, width: 4) { _ in
        #expect(current() == .emulatedBFloat16)
        ProductPrecision.float32 { #expect(current() == .float32) }
      }
      ProductPrecision.float32 {
        Threads.perform(64, width: 4) { _ in #expect(current() == .float32) }
      }
      #expect(current() == .emulatedBFloat16)
    }
    Threads.perform(64, width: 4) { _ in #expect(current() == .float32) }
  }

  @Test func anErrorLeavesThePrecisionAsItWas() {
    struct Failure: Error {}
    #expect(throws: Failure.self) {
      try ProductPrecision.emulatedBFloat16 { () throws(Failure) in throw Failure() }
    }
    #expect(current() == .float32)
  }

  /// Whoever looks at a value computes about it exactly.
  @Test func probesComputeExactly() {
    final class Listener: Probe {
      var seen: [ProductPrecision] = []
      let current: () -> ProductPrecision
      init(_ current: @escaping () -> ProductPrecision) { self.current = current }
      func wants(_ tap: Tap) -> Bool { true }
      func observe(_ tap: Tap, _ value: Tensor) -> Tensor {
        seen.append(current())
        return value
      }
    }
    let listener = Listener(current)
    let context = Context(probe: listener)
    ProductPrecision.emulatedBFloat16 {
      _ = context.tap(Tap("a", .mlp, layout: .vector), Tensor([1], shape: [1]))
      _ = context.inner(Tap("b", .mlp, layout: .vector))?(Tensor([1], shape: [1]))
      #expect(current() == .emulatedBFloat16)
    }
    #expect(listener.seen == [.float32, .float32])
  }

  /// Tiles of 3x3 convolutions are transformed in Float32: rounded ones would lose more than they gain.
  @Test func transformedTilesStayExact() {
    var random = Random(seed: 7)
    let (x, w) = (random.normal([2, 32, 32, 16]), random.normal([16, 3, 3, 16]))
    let window = SlidingWindow(kernel: 3, stride: 1, padding: 1)
    let exact = convolution(x, w, window: window).values
    #expect(ProductPrecision.emulatedBFloat16 { convolution(x, w, window: window) }.values == exact)
  }
}
