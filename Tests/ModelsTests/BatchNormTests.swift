import Tensors
import Testing

@testable import Models

/// Batch normalisation in both modes.
@Suite struct BatchNormTests {
  private static let values: [Float] = [1, 2, 3, -1, 2, 0.5, 6, 4, -2, 1, 0, 3]
  private static let cotangent: [Float] = [1, -1, 2, 0.5, 0, 1, -1, 2, 0.5, -2, 1, 1]
  private static let parameters = [
    "weight": Tensor([1.5, -0.5], shape: [2]), "bias": Tensor([0.25, 1], shape: [2]),
    "running_mean": Tensor([0.5, -1], shape: [2]), "running_var": Tensor([2, 0.5], shape: [2]),
  ]

  private func expect(_ found: [Float], _ expected: [Double], _ tolerance: Double = 1e-6) {
    #expect(found.count == expected.count)
    for (a, b) in zip(found, expected) {
      #expect(abs(Double(a) - b) <= tolerance * max(1, abs(b)), "\(found), \(expected)")
    }
  }

  /// `torch.nn.BatchNorm1d(2)` of PyTorch 2.15 in training mode, in Float64: six rows of two channels.
  @Test func trainingIsThatOfPyTorch() throws {
    var given = Self.parameters
    let (gamma, beta) = (
      Tensor([1.5, -0.5], shape: [2]).tracked(), Tensor([0.25, 1], shape: [2]).tracked()
    )
    (given["weight"], given["bias"]) = (gamma, beta)
    let x = Tensor(Self.values, shape: [3, 2, 2]).tracked()
    let buffers = UpdatedBuffers()
    let context = Context(
      training: Training(key: RandomKey(seed: 0, step: 0), buffers: buffers))
    let y = try BatchNorm(Scope(GivenParameters(given)), 2)(x, context)
    expect(
      y.values,
      [
        -0.150891541, 0.873245203, 1.05178308, 1.78587974, 0.45044577, 1.32956247, 2.85579501,
        0.264822177, -1.95490347, 1.17745672, -0.752228852, 0.56903369,
      ])
    let parts = pullback(
      [(y, Tensor(Self.cotangent, shape: [3, 2, 2]))], withRespectTo: [x, gamma, beta])
    expect(
      try #require(parts[0]).values,
      [
        0.18791801, 0.416433364, 0.977172929, -0.300300509, -0.319460497, -0.322197964,
        -0.544962593, -0.322590106, -0.394627057, 0.633839342, 0.0939592065, -0.105184127,
      ])
    expect(try #require(parts[1]).values, [-2.33853399, 2.81395649])
    expect(try #require(parts[2]).values, [3.5, 1.5])
    expect(try #require(buffers.values["running_mean"]).values, [0.616666667, -0.741666667])
    expect(try #require(buffers.values["running_var"]).values, [2.54666667, 0.774166667])
    #expect(buffers.values.count == 2)
    #expect(buffers.values.values.allSatisfy { !$0.isTracked })
  }

  /// `gamma (x - mean) / sqrt(var + eps) + beta` of the running statistics, which stay.
  @Test func evaluationIsThatOfTheRunningStatistics() throws {
    let norm = try BatchNorm(Scope(GivenParameters(Self.parameters)), 2)
    let x = Tensor(Self.values, shape: [6, 2])
    let expected = Self.values.enumerated().map { index, value in
      index % 2 == 0
        ? 1.5 * (Double(value) - 0.5) / (2 + 1e-5).squareRoot() + 0.25
        : -0.5 * (Double(value) + 1) / (0.5 + 1e-5).squareRoot() + 1
    }
    expect(norm(x, Context()).values, expected)
    expect(
      norm.onPlanes(x.permuted([1, 0]).reshaped([1, 2, 6]), Context()).values,
      (0..<12).map { expected[$0 % 6 * 2 + $0 / 6] })
  }

  /// A mean that is large against the spread costs no digits.
  @Test func aLargeMeanIsTakenOutFirst() throws {
    let x = Tensor((0..<64).map { 1e4 + Float($0 % 2) }, shape: [64, 1])
    let given = [
      "weight": Tensor([1], shape: [1]), "bias": Tensor([0], shape: [1]),
      "running_mean": Tensor([0], shape: [1]), "running_var": Tensor([1], shape: [1]),
    ]
    let context = Context(
      training: Training(key: RandomKey(seed: 0, step: 0), buffers: UpdatedBuffers()))
    let y = try BatchNorm(Scope(GivenParameters(given)), 1)(x, context)
    let unit = 0.5 / (0.25 + 1e-5).squareRoot()
    expect(y.values, (0..<64).map { $0 % 2 == 0 ? -unit : unit }, 1e-5)
  }

  /// Every normalisation of a network reports its statistics, by the names that it is loaded by, and the pass
  /// has derivatives.
  @Test(
    arguments: ModelSummaryTests.architectures.filter {
      ["resnet", "alternet", "refiner_vit"].contains($0.prefix { $0 != "(" })
        || $0.contains("embed=cnn")
    })
  func networksTrainOnMinibatches(_ text: String) throws {
    let architecture = try Architecture(text)
    let loaded = try ModelLoader.random(architecture, seed: 1)
    let side = architecture.configuration.imageSize.side
    let images = DeterministicFill.values(
      "input", [4, side, side, architecture.configuration.channels], isInput: true)
    let buffers = UpdatedBuffers()
    let context = Context(
      training: Training(
        key: RandomKey(seed: 0, step: 0), dropout: 0.1, stochasticDepth: 0.1, buffers: buffers))
    let named = loaded.parameters.filter { !$0.specification.isBuffer }
    let tracked = named.map { $0.tensor.tracked() }
    var given: [String: Tensor] = [:]
    for parameter in loaded.parameters { given[parameter.specification.name] = parameter.tensor }
    for (parameter, tensor) in zip(named, tracked) { given[parameter.specification.name] = tensor }
    let model = try loaded.rebuilt(with: given)
    let logits = model(images, context)
    #expect(
      Set(buffers.values.keys)
        == Set(loaded.parameters.filter(\.specification.isBuffer).map(\.specification.name)))
    let parts = pullback([(logits, logits)], withRespectTo: tracked)
    #expect(parts.allSatisfy { $0?.values.allSatisfy { $0.isFinite } ?? false })
    // The next step's model is made of the new statistics.
    for (name, value) in buffers.values { given[name] = value }
    let next = try loaded.rebuilt(with: given)
    let isOther = next(images, Context()).values != model(images, Context()).values
    #expect(isOther)
  }
}
