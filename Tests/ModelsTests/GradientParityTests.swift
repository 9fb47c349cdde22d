import Checkpoints
import Tensors
import Testing

@testable import Models

/// Gradients of a cross-entropy and one product with its Hessian, against float64 evaluations of the
/// reference implementations (`Fixtures/make/gradients.py`).
@Suite struct GradientParityTests {
  static let names = Fixture.names(of: ParityTests.families).filter {
    $0.hasPrefix("gradients-")
  }

  @Test func everyFamilyHasAFixture() throws {
    let families = try Self.names.map { try Fixture($0).checkpoint.metadata["family"] ?? "" }
    #expect(Set(families) == ParityTests.families)
  }

  @Test(.serialized, arguments: names)
  func derivativesEqualTheReference(_ name: String) throws {
    let fixture = try Fixture(name)
    let study = try fixture.withWeights { try Study($0, fixture) }
    let curvature = try study.curvature()
    let loss = try #require(Double(fixture.checkpoint.metadata["loss"] ?? ""))
    #expect(abs(Double(curvature.loss) - loss) < 1e-6)
    let gradient = try study.error(curvature.gradient, "gradient")
    let product = try study.error(curvature.product(with: study.direction()), "hessian")
    #expect(gradient < 1e-5)
    #expect(product < 1e-5)
  }

  /// A loaded model, and what its parameters are called in the reference.
  private struct Study {
    let fixture: Fixture
    let loaded: LoadedModel
    let parameters: [NamedParameter]
    let names: [String]
    let images: Tensor

    init(_ checkpoint: Checkpoint, _ fixture: Fixture) throws {
      self.fixture = fixture
      let loaded = try ModelLoader.load(checkpoint, as: fixture.architecture())
      self.loaded = loaded
      parameters = loaded.parameters.filter { !$0.specification.isBuffer }
      images = try fixture.input()
      let family = try #require(
        ModelRegistry.families.first { $0.family == loaded.architecture.family })
      let keyMapping = try #require(
        family.keyMappings.first { $0.name == loaded.report.keyMapping })
      let view = WeightsView(
        try CheckpointContents(checkpoint), keyMapping: keyMapping, prefix: loaded.report.prefix)
      names = parameters.map { view.foreignName($0.specification.name) }
    }

    /// The mean cross-entropy of two images of the classes 0 and 1.
    func loss(_ tensors: [Tensor]) throws(ParameterError) -> Tensor {
      var given: [String: Tensor] = [:]
      for parameter in loaded.parameters {
        given[parameter.specification.name] = parameter.tensor
      }
      for (parameter, tensor) in zip(parameters, tensors) {
        given[parameter.specification.name] = tensor
      }
      let labels = Tensor([1, 0, 0, 0, 0, 0, 1, 0, 0, 0], shape: [2, 5])
      let model = try loaded.rebuilt(with: given)
      return 0.5 * model(images).crossEntropy(targets: labels).sum()
    }

    func curvature() throws(ParameterError) -> LossCurvature {
      try LossCurvature(at: parameters.map(\.tensor), loss: loss)
    }

    func direction() -> [Tensor] {
      zip(parameters, names).map { parameter, name in
        let stored = DeterministicFill.values("v/" + name, parameter.specification.storedShape)
        return isFlat(parameter, name)
          ? stored.reshaped(parameter.specification.shape)
          : parameter.specification.layout.fromStored(stored)
      }
    }

    /// Whether the reference has a linear layer over patches, pixels before channels as here, where
    /// others have a convolution. (That of the published PiT has channels first.)
    private func isFlat(_ parameter: NamedParameter, _ name: String) -> Bool {
      loaded.architecture.family == "mixer" && parameter.specification.storedShape.count == 4
        && fixture.checkpoint["gradient/\(name)"]?.shape.count == 2
    }

    /// The norm of the difference over that of the reference.
    func error(_ tensors: [Tensor], _ kind: String) throws -> Double {
      var (difference, size) = (0.0, 0.0)
      for index in parameters.indices {
        let golden = try #require(fixture.checkpoint["\(kind)/\(names[index])"]).floats()
        let own =
          isFlat(parameters[index], names[index])
          ? tensors[index].values
          : parameters[index].specification.layout.toStored(tensors[index]).values
        #expect(own.count == golden.count)
        for (a, b) in zip(own, golden) {
          difference += (Double(a) - Double(b)) * (Double(a) - Double(b))
          size += Double(b) * Double(b)
        }
      }
      return (difference / size).squareRoot()
    }
  }
}
