import Checkpoints
import Diagnostics
import Models
import StrictJSON
import Tensors
import TestSupport
import Testing

/// Both ends of the spectrum of exported graphs' Hessians, against scipy over PyTorch's double backward in float64
/// (`Fixtures/make/graphs.py`).
@Suite struct GraphSpectrumTests {
  static let names = [
    "graph-convnext", "graph-efficientnet", "graph-swin", "graph-resnet", "graph-functions",
  ]

  @Test(arguments: names)
  func bothEndsEqualTheReference(_ name: String) throws {
    let text = try #require(Scratch.read(Fixture.folder + "graph-spectra.json"))
    let golden = try #require(JSONValue(parsing: text)[name])
    func number(_ key: String) throws -> Double { try #require(golden[key]?.doubleValue) }
    let network = try GraphParityTests.load(name).network
    let hessian = try GraphHessian(network, Fixture(name).input())
    #expect(hessian.dimension == golden["parameters"]?.intValue)
    #expect(abs(Double(hessian.curvature.loss) - (try number("loss"))) < 1e-5)
    var solver = Lanczos()
    (solver.top, solver.steps, solver.tolerance, solver.extensions) = (2, 60, 1e-5, 2)
    let spectrum = try solver.solve(hessian)
    for (found, key) in [(spectrum.largest, "largest"), (spectrum.smallest, "smallest")] {
      let expected = try number(key)
      #expect(abs(found.value - expected) < 1e-4 * abs(expected), "\(key): \(found)")
    }
  }
}

/// The Hessian of the mean cross-entropy of two images, as the classes 0 and 1, by all parameters.
private struct GraphHessian: SymmetricOperator {
  let curvature: LossCurvature
  private let shapes: [Shape]

  init(_ network: any Network, _ images: Tensor) throws {
    let parameters = network.parameters.filter { !$0.specification.isBuffer }
    shapes = parameters.map(\.tensor.shape)
    let fixed = network.parameters.filter(\.specification.isBuffer)
    let targets = Tensor([1, 0, 0, 0, 0, 0, 1, 0, 0, 0], shape: [2, 5])
    curvature = try LossCurvature(at: parameters.map(\.tensor)) {
      tensors throws(ParameterError) in
      var given = Dictionary(
        uniqueKeysWithValues: fixed.map { ($0.specification.name, $0.tensor) })
      for (parameter, tensor) in zip(parameters, tensors) {
        given[parameter.specification.name] = tensor
      }
      let rebuilt = try network.rebuilt(with: given)
      return 0.5 * rebuilt(images).crossEntropy(targets: targets).sum()
    }
  }

  var dimension: Int { shapes.reduce(0) { $0 + $1.count } }

  func apply(_ vectors: [[Double]]) throws -> [[Double]] {
    let parts = vectors.map { vector in
      var place = 0
      return shapes.map { shape in
        defer { place += shape.count }
        return Tensor(vector[place..<place + shape.count].map(Float.init), shape: shape)
      }
    }
    return curvature.products(with: parts).map { product in
      product.flatMap { $0.values.map(Double.init) }
    }
  }
}
