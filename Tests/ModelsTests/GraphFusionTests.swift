import Checkpoints
import Models
import Tensors
import Testing

/// Steps of graphs that are carried out as one: which are found, and that whoever looks sees the same values.
@Suite struct GraphFusionTests {
  /// How often steps of each kind are joined: what the structure of each network says.
  static let joined: [(name: String, counts: [String: Int])] = [
    // Two blocks; the head reads one token of those that are normalised.
    ("graph-vit", ["self-attention": 2, "perceptron": 2]),
    // Five operations are a GELU there.
    ("graph-vit-dynamo.onnx", ["self-attention": 2, "perceptron": 2]),
    // Rotated queries and keys; a gate between the products; the head has a normalisation of its own.
    ("graph-eva", ["attention": 2, "linear": 9]),
    ("graph-eva-dynamo.onnx", ["attention": 2, "linear": 9]),
    // The head has a normalisation of its own behind the mean.
    ("graph-vit-layer-scale", ["self-attention": 2, "perceptron": 2, "linear": 1]),
    // Three blocks, one of them shifted; a merge of patches is a normalisation and a product.
    ("graph-swin", ["self-attention": 3, "perceptron": 3, "linear": 1]),
    // Four blocks, and the head's normalisation.
    ("graph-convnext", ["perceptron": 4, "linear": 1]),
    // The stem, and two convolutions and a projection of each of four blocks.
    ("graph-resnet", ["convolution": 13]),
    // Stem and head; three convolutions and the first of the gate in each of three blocks, one less in the first.
    ("graph-efficientnet", ["convolution": 17]),
    // GELU by tanh is joined, a product with a logistic function of another slope is none that is known.
    ("graph-functions", ["convolution": 1, "perceptron": 1, "linear": 1]),
    ("graph-functions-dynamo.onnx", ["convolution": 1, "perceptron": 1, "linear": 2]),
    ("graph-functions-legacy.onnx", ["convolution": 1, "perceptron": 1, "linear": 2]),
    // Two normalisations, one behind a convolution with a bias.
    ("graph-twice", ["convolution": 2]),
    // Places are put before images for attention, and back: nothing is moved, and attention is that of other networks.
    ("graph-multihead", ["self-attention": 2, "perceptron": 2]),
    ("graph-multihead-open", ["self-attention": 1, "perceptron": 1]),
    // There keys come back turned, and stay apart.
    ("graph-multihead-open-legacy.onnx", ["perceptron": 1, "linear": 1]),
    // Normalised queries and keys. Cut, rolled and put back: one block; padded, cut, put back and cropped: another;
    // four parts of a merge, every other row and column.
    ("graph-swinv2", ["perceptron": 3, "movement": 8]),
    // Zeros before the stem; rows and columns rolled, every other row and column, unfolded patches that are folded
    // again, and a part turned round.
    ("graph-operations", ["convolution": 1, "movement": 4]),
  ]

  @Test func stepsOfEachKindAreFound() throws {
    for (name, counts) in Self.joined {
      let found = try GraphParityTests.load(name).joined
      #expect(found == counts, "\(name): \(found)")
    }
  }

  /// The values of all taps, seen one at a time, are those of a pass in which all are seen and nothing is joined.
  @Test(
    arguments: GraphParityTests.names + [
      "graph-vit-dynamo.onnx", "graph-twice-legacy.onnx", "graph-eva-dynamo.onnx",
      "graph-multihead-open-legacy.onnx",
    ])
  func whoeverLooksSeesTheSame(_ name: String) throws {
    let network = try GraphParityTests.load(name).network
    let input = network.inputShape
    let images = DeterministicFill.values(
      "images", [2, input.height, input.width, input.channels], isInput: true)
    let all = Recorder()
    let output = network(images, Context(probe: all))
    expectSame(network(images), output, "\(name) output")
    for tap in all.taps {
      let one = Recorder { $0.name == tap.name }
      expectSame(network(images, Context(probe: one)), output, "\(name) output beside \(tap.name)")
      #expect(one.taps == [tap], "\(name)")
      if let value = one.values[tap.name], let other = all.values[tap.name] {
        expectSame(value, other, "\(name) \(tap.name)")
      }
    }
    // As analyses look: at some of them at once.
    for role in [Tap.Roles.sequence, .block, .branch] {
      let some = Recorder { $0.roles.contains(role) }
      expectSame(network(images, Context(probe: some)), output, "\(name)")
      #expect(some.taps == all.taps.filter { $0.roles.contains(role) })
      for (tap, value) in some.values {
        if let other = all.values[tap] { expectSame(value, other, "\(name) \(tap)") }
      }
    }
  }

  /// What is put in the place of a value within joined steps is gone on with.
  @Test func whatIsChangedOnTheWayCounts() throws {
    let network = try GraphParityTests.load("graph-resnet").network
    let images = try Fixture("graph-resnet").input()
    let (plain, zeroed) = (
      network(images), network(images, Context(probe: Zeroing("layer1.0.bn2")))
    )
    let difference = zip(plain.values, zeroed.values).map { abs($0 - $1) }.max() ?? 0
    #expect(difference > 1e-4)
  }

  /// Gradients by all parameters are those of a network in which nothing is joined.
  @Test(arguments: [
    "graph-vit-layer-scale", "graph-swin", "graph-efficientnet", "graph-twice",
    "graph-eva-dynamo.onnx", "graph-multihead",
  ])
  func derivativesAreThoseOfTheSteps(_ name: String) throws {
    let network = try GraphParityTests.load(name).network
    let input = network.inputShape
    let images = DeterministicFill.values(
      "images", [2, input.height, input.width, input.channels], isInput: true)
    func gradients(_ probe: (any Probe)?) throws -> [[Float]] {
      let tracked = network.parameters.map { $0.tensor.tracked() }
      let given = Dictionary(
        zip(network.parameters.map(\.specification.name), tracked), uniquingKeysWith: { a, _ in a })
      let output = try network.rebuilt(with: given)(images, Context(probe: probe))
      return gradient(of: (output * output).sum(), withRespectTo: tracked).map(\.values)
    }
    for (own, other) in zip(try gradients(nil), try gradients(Recorder())) {
      let largest = other.reduce(Float(1e-6)) { max($0, abs($1)) }
      let difference = zip(own, other).reduce(Float(0)) { max($0, abs($1.0 - $1.1)) }
      #expect(difference <= 1e-5 * largest, "\(name)")
    }
  }

  private func expectSame(_ value: Tensor, _ other: Tensor, _ place: String) {
    guard value.shape == other.shape else {
      Issue.record("\(place): \(value.shape) for \(other.shape)")
      return
    }
    let golden = other.values
    let largest = golden.reduce(Float(1e-30)) { max($0, abs($1)) }
    let difference = zip(value.values, golden).reduce(Float(0)) { max($0, abs($1.0 - $1.1)) }
    #expect(difference <= 1e-6 * largest, "\(place): \(difference) of \(largest)")
  }
}

/// Puts zeros in the place of one value.
private struct Zeroing: Probe {
  let name: String
  init(_ name: String) { self.name = name }
  func wants(_ tap: Tap) -> Bool { tap.name == name }
  func observe(_ tap: Tap, _ value: Tensor) -> Tensor { Tensor(repeating: 0, shape: value.shape) }
}
