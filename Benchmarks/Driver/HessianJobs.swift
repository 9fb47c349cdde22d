import Diagnostics
import Models
import Tensors

/// The Hessian of the cross-entropy of an untrained model on one random minibatch: `model`, `batch`.
///
/// The gradient is recorded once; each product differentiates it again along a vector.
private struct LossHessian: SymmetricOperator {
  let variables: [Tensor]
  let gradients: [Tensor]

  init(_ arguments: Arguments) throws {
    let architecture = try Architecture(
      arguments.text("model", "vit(image=32,patch=4,dim=192,depth=12,heads=3,classes=100)"))
    let loaded = try ModelLoader.random(architecture, seed: 0)
    let batch = try arguments.integer("batch", 16)
    let size = loaded.preprocessing.size
    var given: [String: Tensor] = [:]
    var variables: [Tensor] = []
    for parameter in loaded.parameters {
      let isBuffer = parameter.specification.isBuffer
      let tensor = isBuffer ? parameter.tensor : parameter.tensor.tracked()
      if !isBuffer { variables.append(tensor) }
      given[parameter.specification.name] = tensor
    }
    let logits = try loaded.rebuilt(with: given)(.normal([batch, size, size, 3], seed: 1))
    let classes = logits.shape.last
    let random = CounterRandom(seed: 2, purpose: "labels")
    let targets = Tensor(shape: logits.shape) { buffer in
      buffer.update(repeating: 0)
      for row in 0..<batch {
        buffer[row * classes + random.integer(below: classes, at: UInt64(row))] = 1
      }
    }
    let loss = logits.crossEntropy(targets: targets).mean(axis: 0)
    self.variables = variables
    gradients = gradient(of: loss, withRespectTo: variables, recording: true)
  }

  var dimension: Int { variables.reduce(0) { $0 + $1.shape.count } }

  /// The product with one vector, given and returned in pieces of the parameters' shapes.
  func product(_ vector: [Tensor]) -> [Tensor] {
    let roots = zip(gradients, vector).map { (value: $0, cotangent: $1) }
    return zip(variables, pullback(roots, withRespectTo: variables)).map {
      $1 ?? Tensor(repeating: 0, shape: $0.shape)
    }
  }

  func apply(_ vectors: [[Double]]) -> [[Double]] {
    vectors.map { vector in
      var start = 0
      let pieces = variables.map { variable in
        let part = vector[start..<start + variable.shape.count]
        start += part.count
        return Tensor(part.map { Float($0) }, shape: variable.shape)
      }
      return product(pieces).flatMap { $0.withValues { $0.map { Double($0) } } }
    }
  }
}

/// Hessian-vector products one after another: `model`, `batch`. The time is that of one.
func hessianProductJob(_ arguments: Arguments) throws -> Measurement {
  let hessian = try LossHessian(arguments)
  var vector = hessian.variables.enumerated().map {
    Tensor.normal($1.shape, seed: UInt64($0 + 1))
  }
  var rayleigh = 0.0
  var measurement = Measurement(repeats: try arguments.integer("repeats", 5)) {
    // As in power iteration: normalise, multiply, keep.
    let factor = Float(1 / dot(vector, vector).squareRoot())
    vector = vector.map { factor * $0 }
    let product = hessian.product(vector)
    rayleigh = dot(vector, product)
    vector = product
  }
  measurement.add("parameters", Double(hessian.dimension))
  measurement.add("rayleigh", rayleigh)
  return measurement
}

/// The eigenvalues of largest magnitude to a residual of 1e-3: `model`, `batch`, `top`.
func eigenvaluesJob(_ arguments: Arguments) throws -> Measurement {
  let repeats = try arguments.integer("repeats", 1)
  let top = try arguments.integer("top", 5)
  var spectrum: LanczosSpectrum?
  let seconds = try (0..<repeats).map { _ in
    try elapsed {
      let hessian = try LossHessian(arguments)
      var solver = Lanczos()
      solver.top = top
      solver.extensions = 4
      solver.threads = Threads.count
      spectrum = try solver.solve(hessian)
    }
  }
  var measurement = Measurement(seconds: seconds)
  if let spectrum {
    measurement.add("largest", spectrum.top.first?.value ?? .nan)
    measurement.add("converged", Double(spectrum.top.count { $0.isConverged }))
    measurement.add("products", Double(spectrum.top.first?.iterations ?? 0))
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
