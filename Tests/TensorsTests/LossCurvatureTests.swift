import Glibc
import Testing

@testable import Tensors

@Suite struct LossCurvatureTests {
  @Test func quadraticFormHasItsMatrixAsHessian() {
    var random = Random(seed: 1)
    let half = random.normal([6, 6])
    let a = half + half.permuted([1, 0])
    let x = random.normal([1, 6])
    let curvature = LossCurvature(at: [x]) { p in (0.5 * (p[0].matmul(a) * p[0])).sum() }
    let (ra, rx) = (Reference(a), Reference(x))
    #expect(distance(curvature.gradient[0].values.map(Double.init), rx.matmul(ra).values) < 1e-6)
    #expect(abs(Double(curvature.loss) - 0.5 * dot(rx.matmul(ra).values, rx.values)) < 1e-5)
    let vectors = (0..<3).map { _ in [random.normal([1, 6])] }
    for (v, hv) in zip(vectors, curvature.products(with: vectors)) {
      #expect(
        distance(hv[0].values.map(Double.init), Reference(v[0]).matmul(ra).values) < 1e-6)
    }
  }

  /// `(uv - 1)² / 2` has the Hessian `[[v², 2uv - 1], [2uv - 1, u²]]`.
  @Test(arguments: [(0, 0), (1, 1), (2, -0.5), (-1.5, 0.25)] as [(Float, Float)])
  func productOfTwoParameters(u: Float, v: Float) {
    let curvature = LossCurvature(
      at: [Tensor([u], shape: [1]), Tensor([v], shape: [1])]
    ) { p in
      let residual = p[0] * p[1] + -1
      return 0.5 * (residual * residual)
    }
    let (one, zero) = (Tensor([1], shape: [1]), Tensor([0], shape: [1]))
    #expect(curvature.product(with: [one, zero]).map { $0.values[0] } == [v * v, 2 * u * v - 1])
    #expect(curvature.product(with: [zero, one]).map { $0.values[0] } == [2 * u * v - 1, u * u])
  }

  /// Softmax regression: `H = mean_i (diag(p_i) - p_i p_iᵀ) ⊗ x_i x_iᵀ`, whatever the targets.
  @Test func softmaxRegression() {
    let (n, d, classes) = (7, 4, 3)
    var random = Random(seed: 2)
    let (x, w, v) = (
      random.normal([n, d]), random.normal([classes, d]), random.normal([classes, d])
    )
    var targets = Reference([n, classes]) { $0 % classes == $0 / classes % classes ? 0.9 : 0.05 }
    targets.values[0] = 0.7
    let t = Tensor(targets.values.map(Float.init), shape: [n, classes])
    let curvature = LossCurvature(at: [w]) { p in
      linear(x, p[0]).crossEntropy(targets: t).mean(axis: 0)
    }
    let (rx, rv) = (Reference(x), Reference(v))
    let weights = targets.sum(axis: 1).values
    let p = rx.matmul(Reference(w).transposed()).softmax()
    let moved = rx.matmul(rv.transposed())
    var expected = [Double](repeating: 0, count: classes * d)
    for i in 0..<n {
      let along = (0..<classes).reduce(0.0) { $0 + p[i, $1] * moved[i, $1] }
      for c in 0..<classes {
        for j in 0..<d {
          expected[c * d + j] +=
            weights[i] * p[i, c] * (moved[i, c] - along) * rx[i, j] / Double(n)
        }
      }
    }
    #expect(distance(curvature.product(with: [v])[0].values.map(Double.init), expected) < 1e-6)
  }

  /// A small transformer: everything a product runs through.
  struct Network {
    let parameters: [Tensor]
    private let input: Tensor
    private let targets: Tensor

    init() {
      var random = Random(seed: 5)
      let d = 12
      input = random.normal([3, 5, 7])
      targets = Tensor((0..<12).map { $0 % 4 == $0 / 4 ? 1 : 0 }, shape: [3, 4])
      parameters = [
        random.normal([d, 7], deviation: 0.5), random.normal([5, d], deviation: 0.5),
        random.normal([d]), random.normal([d]),
        random.normal([3 * d, d], deviation: 0.4), random.normal([3 * d], deviation: 0.4),
        random.normal([d, d], deviation: 0.4), random.normal([d]),
        random.normal([d]), random.normal([d]),
        random.normal([2 * d, d], deviation: 0.4), random.normal([2 * d]),
        random.normal([d, 2 * d], deviation: 0.4), random.normal([d]),
        random.normal([4, d], deviation: 0.4),
      ]
    }

    func loss(_ p: [Tensor]) -> Tensor {
      var x = linear(input, p[0]) + p[1]
      let y = x.layerNorm(gamma: p[2], beta: p[3], epsilon: 1e-5)
      let mixed = attention(qkv: linear(y, p[4], bias: p[5]), heads: 3, scale: 0.5)
      x = linear(mixed, p[6], bias: p[7], residual: x)
      let z = x.layerNorm(gamma: p[8], beta: p[9], epsilon: 1e-5)
      x = linear(linear(z, p[10], bias: p[11], activation: .gelu), p[12], bias: p[13], residual: x)
      return linear(x.globalAverage(), p[14]).crossEntropy(targets: targets).mean(axis: 0)
    }

    func direction(_ seed: UInt64) -> [Tensor] {
      var random = Random(seed: seed)
      return parameters.map { random.normal($0.shape) }
    }
  }

  private func flat(_ parts: [Tensor]) -> [Double] { parts.flatMap { $0.values.map(Double.init) } }

  @Test func theHessianIsSymmetric() {
    let network = Network()
    let curvature = LossCurvature(at: network.parameters, loss: network.loss)
    for seed in 0..<4 as Range<UInt64> {
      let (u, v) = (network.direction(2 * seed), network.direction(2 * seed + 1))
      let (hu, hv) = (flat(curvature.product(with: u)), flat(curvature.product(with: v)))
      let difference = abs(dot(flat(u), hv) - dot(flat(v), hu))
      #expect(difference <= 1e-5 * norm(flat(u)) * norm(hv))
    }
  }

  @Test func theProductIsTheSlopeOfTheGradient() {
    let network = Network()
    let curvature = LossCurvature(at: network.parameters, loss: network.loss)
    let v = network.direction(8)
    // Fourth-order differences: the truncation error falls below the rounding of Float32.
    func gradient(_ step: Float) -> [Double] {
      let moved = zip(network.parameters, v).map { $0 + step * $1 }
      return flat(LossCurvature(at: moved, loss: network.loss).gradient)
    }
    let h: Float = 0.01
    let (a, b, c, d) = (gradient(-2 * h), gradient(-h), gradient(h), gradient(2 * h))
    let expected = a.indices.map { (a[$0] - 8 * b[$0] + 8 * c[$0] - d[$0]) / (12 * Double(h)) }
    let found = flat(curvature.product(with: v))
    #expect(norm(zip(found, expected).map { $0 - $1 }) <= 1e-3 * norm(expected))
    // And the gradient is the slope of the loss.
    func loss(_ step: Float) -> Double {
      Double(network.loss(zip(network.parameters, v).map { $0 + step * $1 }).values[0])
    }
    let slope = (loss(-2 * h) - 8 * loss(-h) + 8 * loss(h) - loss(2 * h)) / (12 * Double(h))
    #expect(abs(slope - dot(flat(curvature.gradient), flat(v))) <= 5e-3 * max(1, abs(slope)))
  }

  @Test func aProductHasTheSameBitsTwice() {
    let network = Network()
    let v = network.direction(8)
    let curvature = LossCurvature(at: network.parameters, loss: network.loss)
    let first = curvature.product(with: v).flatMap { $0.values.map(\.bitPattern) }
    #expect(curvature.product(with: v).flatMap { $0.values.map(\.bitPattern) } == first)
    let again = LossCurvature(at: network.parameters, loss: network.loss)
    #expect(again.product(with: v).flatMap { $0.values.map(\.bitPattern) } == first)
  }

  @Test func aParameterThatDoesNotMatterHasNoCurvature() {
    let x = Tensor([1, 2], shape: [2])
    let curvature = LossCurvature(at: [x, x, x]) { p in (p[0] * p[0]).sum() + p[1].sum() }
    #expect(curvature.gradient.map(\.values) == [[2, 4], [1, 1], [0, 0]])
    #expect(curvature.product(with: [x, x, x]).map(\.values) == [[2, 4], [0, 0], [0, 0]])
  }

  @Test func aSubsetOfTheParametersGivesABlockOfTheHessian() {
    let network = Network()
    let whole = LossCurvature(at: network.parameters, loss: network.loss)
    let part = LossCurvature(at: [network.parameters[4]]) { p in
      var all = network.parameters
      all[4] = p[0]
      return network.loss(all)
    }
    var v = network.parameters.map { Tensor(repeating: 0, shape: $0.shape) }
    v[4] = network.direction(3)[4]
    let expected = whole.product(with: v)[4].values.map(Double.init)
    #expect(distance(part.product(with: [v[4]])[0].values.map(Double.init), expected) <= 1e-5)
  }
}
