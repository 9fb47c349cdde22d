import Glibc
import Testing

@testable import Tensors

/// Errors of the kernels against Float64, at the bounds that `vector_math.h` states.
@Suite struct KernelAccuracyTests {
  /// Float32 values spread over a range, denser than 10^-4 apart.
  private func grid(_ low: Double, _ high: Double, _ count: Int = 400_003) -> [Float] {
    (0..<count).map { Float(low + (high - low) * Double($0) / Double(count - 1)) }
  }

  @Test func exponentialIsGoodToAnUlp() {
    let x = grid(-87.3, 88.72)
    let y = Tensor(x, shape: [x.count]).exp().values
    var worst = 0.0
    for (x, y) in zip(x, y) {
      let expected = exp(Double(x))
      worst = max(worst, abs(Double(y) - expected) / Double(Float(expected).ulp))
    }
    #expect(worst <= 1.02)
  }

  @Test func exponentialAtTheEnds() {
    let x: [Float] = [-.infinity, -1000, -88, 0, 88.72, 89, .infinity, .nan]
    let y = Tensor(x, shape: [x.count]).exp().values
    #expect(y[0] == 0 && y[1] == 0 && y[2] == 0 && y[3] == 1)
    #expect(y[4].isFinite)
    #expect(y[5] == .infinity && y[6] == .infinity)
    #expect(y[7].isNaN)
  }

  /// Derivatives of `x Φ(x)`, from `φ` and the Hermite polynomials.
  private func gelu(_ x: Double, order: Int) -> Double {
    let cdf = 0.5 * erfc(-x / 2.0.squareRoot())
    let pdf = exp(-x * x / 2) / (2 * Double.pi).squareRoot()
    switch order {
    case 0: return x * cdf
    case 1: return cdf + x * pdf
    case 2: return pdf * (2 - x * x)
    case 3: return pdf * (x * x * x - 4 * x)
    default: return pdf * (-x * x * x * x + 7 * x * x - 4)
    }
  }

  @Test(arguments: 0...4)
  func geluAndItsDerivatives(order: Int) {
    let x = grid(-12, 12)
    let y = GELU(order: order)(Tensor(x, shape: [x.count])).values
    var worst = 0.0
    for (x, y) in zip(x, y) {
      let error = abs(Double(y) - gelu(Double(x), order: order))
      worst = max(worst, error / Double(max(1, abs(x))))
    }
    #expect(worst <= 3e-7)
  }

  @Test func softmaxSumsToOne() {
    var random = Random(seed: 1)
    for offset in [Float(0), 1e3, -1e4] {
      let x = random.normal([50, 197]) + offset
      let y = x.softmax()
      let expected = Reference(x).softmax()
      let worst = zip(y.values, expected.values).map { abs(Double($0) - $1) / $1 }.max() ?? 1
      #expect(worst <= 1e-6)
    }
  }

  @Test(arguments: [Float(0), 10, 1000, 100_000])
  func layerNormOfALargeMean(offset: Float) {
    var random = Random(seed: 2)
    let x = random.normal([40, 192]) + offset
    let y = Normalize(epsilon: 1e-6)(x)
    let worst = distance(y.values.map(Double.init), Reference(x).normalized(1e-6).values)
    #expect(worst <= 1e-6)
    // And its derivative, which sees the same normalised row.
    let h = random.normal([40, 192])
    let n = Reference(x).normalized(1e-6)
    let found = NormalizeGradient(epsilon: 1e-6)(x, h)
    let hr = Reference(h)
    let mean = hr.sum(axis: 1).reshaped([40, 1]).map { -$0 / 192 }
    let along = (hr * n).sum(axis: 1).reshaped([40, 1]).map { -$0 / 192 }
    let deviation = Reference(x).mapRows { row in
      let mean = row.reduce(0, +) / 192
      return [1 / sqrt(row.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / 192 + 1e-6)]
    }
    let expected = (hr + mean + n * along) * deviation
    #expect(distance(found.values.map(Double.init), expected.values) <= 2e-6)
  }

  @Test func logSumExpOfALargeMean() {
    var random = Random(seed: 4)
    for offset in [Float(0), 1000, -30_000] {
      let x = random.normal([30, 100]) + offset
      let expected = Reference(x).mapRows { row in
        let top = row.max() ?? 0
        return [top + log(row.map { exp($0 - top) }.reduce(0, +))]
      }
      for (y, e) in zip(x.logSumExp().values, expected.values) {
        #expect(abs(Double(y) - e) <= Double(Float(e).ulp) + 1e-6)
      }
    }
  }

  @Test func notANumberStaysNotANumber() {
    let x = Tensor([1, .nan, 2, 3], shape: [1, 4])
    #expect(x.gelu().values[1].isNaN)
    #expect(x.relu().values[1].isNaN)
    #expect(x.relu6().values[1].isNaN)
    #expect(x.sigmoid().values[1].isNaN)
    #expect(x.exp().values[1].isNaN)
    #expect(x.softmax().values.filter(\.isNaN).count == 4)
    #expect(x.logSumExp().values[0].isNaN)
    #expect(Normalize(epsilon: 1e-6)(x).values.filter(\.isNaN).count == 4)
    #expect(x.reshaped([1, 2, 2, 1]).maxPooled(.init(kernel: 2)).values[0].isNaN)
    #expect(linear(x, x).values[0].isNaN)
  }
}
