import Diagnostics
import Models
import Tensors

/// The Hessian of the cross-entropy of an untrained model on one random minibatch: `model`, `batch`.
private struct LossHessian: SymmetricOperator {
  let parameters: [Tensor]
  let curvature: LossCurvature
  /// Floating-point operations of one product. With the pass and its gradient recorded, each product of
  /// matrices leaves six of its size: two for the tangent of the result, two for that of each cotangent.
  let work: Double

  init(_ arguments: Arguments) throws {
    let architecture = try Architecture(
      arguments.text("model", "vit(image=32,patch=4,dim=192,depth=12,heads=3,classes=100)"))
    let loaded = try ModelLoader.random(architecture, seed: 0)
    let batch = try arguments.integer("batch", 16)
    work = try 12 * Double(batch * ModelSummary(architecture, batchSize: 1).multiplyAdds)
    let size = loaded.preprocessing.size
    let images = Tensor.normal([batch, size.height, size.width, 3], seed: 1)
    let variables = loaded.parameters.filter { !$0.specification.isBuffer }
    let buffers = loaded.parameters.filter(\.specification.isBuffer)
    let random = CounterRandom(seed: 2, purpose: "labels")
    parameters = variables.map(\.tensor)
    curvature = try LossCurvature(at: parameters) { tracked in
      var given: [String: Tensor] = [:]
      for (parameter, tensor) in zip(variables, tracked) {
        given[parameter.specification.name] = tensor
      }
      for buffer in buffers { given[buffer.specification.name] = buffer.tensor }
      let model = try loaded.rebuilt(with: given)
      let logits = model(images, Context())
      let classes = logits.shape.last
      let targets = Tensor(shape: logits.shape) { values in
        values.update(repeating: 0)
        for row in 0..<batch {
          values[row * classes + random.integer(below: classes, at: UInt64(row))] = 1
        }
      }
      return logits.crossEntropy(targets: targets).mean(axis: 0)
    }
  }

  var dimension: Int { parameters.reduce(0) { $0 + $1.shape.count } }

  var gradient: [Double] { longVector(curvature.gradient) }

  func apply(_ vectors: [[Double]]) -> [[Double]] {
    vectors.map { vector in
      var start = 0
      let parts = parameters.map { parameter in
        defer { start += parameter.shape.count }
        return Tensor(rounding: vector, from: start, shape: parameter.shape)
      }
      return longVector(curvature.product(with: parts))
    }
  }

  private func longVector(_ parts: [Tensor]) -> [Double] {
    var result = [Double](repeating: 0, count: dimension)
    var end = 0
    for part in parts {
      part.add(times: 1, to: &result, from: end)
      end += part.shape.count
    }
    return result
  }
}

/// Hessian-vector products one after another: `model`, `batch`. The time is that of one.
func hessianProductJob(_ arguments: Arguments) throws -> Measurement {
  let hessian = try LossHessian(arguments)
  var vector = hessian.parameters.enumerated().map {
    Tensor.normal($1.shape, seed: UInt64($0 + 1))
  }
  var rayleigh = 0.0
  var seconds: [Double] = []
  // As in power iteration: normalise, multiply, keep. The product alone is timed, as the peers' is; the
  // first is not counted.
  for _ in 0...(try arguments.integer("repeats", 5)) {
    let factor = Float(1 / dot(vector, vector).squareRoot())
    let unit = vector.map { factor * $0 }
    seconds.append(elapsed { vector = hessian.curvature.product(with: unit) })
    rayleigh = dot(unit, vector)
  }
  var measurement = Measurement(seconds: Array(seconds.dropFirst()))
  measurement.add("parameters", Double(hessian.dimension))
  measurement.add("rayleigh", rayleigh)
  measurement.add(work: hessian.work)
  return measurement
}

/// The eigenvalues of largest magnitude to a residual of 1e-3: `model`, `batch`, `top`, and `basis`, the most
/// vectors to hold. The residuals are measured afterwards, outside of the time.
func eigenvaluesJob(_ arguments: Arguments) throws -> Measurement {
  let repeats = try arguments.integer("repeats", 1)
  let top = try arguments.integer("top", 5)
  var spectrum: LanczosSpectrum?
  let basis = try arguments.integer("basis", 30)
  var (worst, work) = (0.0, 0.0)
  var seconds: [Double] = []
  for _ in 0..<repeats {
    var operators: [LossHessian] = []
    seconds.append(
      try elapsed {
        let hessian = try LossHessian(arguments)
        operators = [hessian]
        var solver = Lanczos()
        solver.top = top
        solver.extensions = 4
        solver.threads = Threads.count
        solver.maximumBasis = basis
        solver.direction = hessian.gradient
        spectrum = try solver.solve(hessian)
      })
    for hessian in operators {
      work = hessian.work
      let measured = try spectrum?.measuringResiduals(with: hessian, vectorsAtOnce: 1)
      let scale = measured?.top.first.map { abs($0.value) } ?? .nan
      worst = measured?.top.reduce(0) { max($0, $1.residual / scale) } ?? .nan
    }
  }
  var measurement = Measurement(seconds: seconds)
  if let spectrum {
    measurement.add("largest", spectrum.top.first?.value ?? .nan)
    measurement.add("converged", Double(spectrum.top.count { $0.isConverged }))
    measurement.add("products", Double(spectrum.products))
    measurement.add("residual", worst)
    measurement.add(work: work * Double(spectrum.products))
  }
  return measurement
}

private func dot(_ x: [Tensor], _ y: [Tensor]) -> Double {
  zip(x, y).reduce(0.0) { sum, pair in
    sum
      + pair.0.withValues { a in
        pair.1.withValues { b in
          var partial = 0.0
          for index in a.indices { partial += Double(a[index]) * Double(b[index]) }
          return partial
        }
      }
  }
}
