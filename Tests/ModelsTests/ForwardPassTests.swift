import Models
import Tensors
import Testing

/// What must hold of every forward pass.
@Suite struct ForwardPassTests {
  private func images(_ configuration: any ModelConfiguration, count: Int = 2) -> Tensor {
    let side = configuration.imageSize.side
    return DeterministicFill.values(
      "input", [count, side, side, configuration.channels], isInput: true)
  }

  static let architectures =
    ModelSummaryTests.architectures + [
      "vit(image=64,patch=8,dim=192,depth=2,classes=10,layer-scale=true)",
      "resnet(image=64,depths=1-2,width=16,classes=10)",
    ]

  @Test(arguments: architectures)
  func lookingChangesNoBit(_ text: String) throws {
    let configuration = try Architecture(text).configuration
    let model = try configuration.makeModel(Scope(FilledParameters()))
    let x = images(configuration)
    let plain = model(x).values
    let listeners: [(Tap) -> Bool] = [
      { _ in true }, { $0.kind == .attentionMap }, { $0.kind == .norm },
      { $0.name.hasSuffix("branch") },
    ]
    for (number, isWanted) in listeners.enumerated() {
      let isSame = model(x, Context(probe: Recorder(isWanted))).values == plain
      #expect(isSame, "listener \(number)")
    }
  }

  @Test(arguments: architectures)
  func imagesDoNotMix(_ text: String) throws {
    let configuration = try Architecture(text).configuration
    let model = try configuration.makeModel(Scope(FilledParameters()))
    let both = images(configuration)
    let logits = model(both).values
    let second = model(both.slice(axis: 0, start: 1, length: 1)).values
    for (a, b) in zip(logits.suffix(second.count), second) {
      #expect(abs(a - b) <= 1e-5 * max(1, abs(b)))
    }
  }

  @Test(arguments: ModelSummaryTests.architectures)
  func gradientsAreThoseOfFiniteDifferences(_ text: String) throws {
    let configuration = try Architecture(text).configuration
    let loaded = try ModelLoader.random(try Architecture(text), seed: 3)
    let x = images(configuration)
    let parameters = loaded.parameters.filter { !$0.specification.isBuffer }
    // Values as the deterministic fill has them: layer scales and normalisations away from trivial.
    var values = Dictionary(
      uniqueKeysWithValues: try loaded.parameters.map { parameter in
        let name = parameter.specification.name
        return (name, try FilledParameters().tensor(for: parameter.specification))
      })
    func loss(_ values: [String: Tensor]) throws -> Tensor {
      let model = try loaded.rebuilt(with: values)
      let logits = model(x)
      return (logits * logits).sum()
    }
    let tracked = parameters.map { values[$0.specification.name]?.tracked() }.compactMap(\.self)
    for (parameter, tensor) in zip(parameters, tracked) {
      values[parameter.specification.name] = tensor
    }
    let value = try loss(values)
    let gradients = gradient(of: value, withRespectTo: tracked)
    let slope = gradients.reduce(0.0) { $1.values.reduce($0) { $0 + Double($1) * Double($1) } }
      .squareRoot()
    try #require(slope > 0)
    // Along the gradient, scaled to a length of one.
    func moved(_ step: Double) throws -> Double {
      var moved = values.mapValues { $0.detached() }
      for (parameter, gradient) in zip(parameters, gradients) {
        let name = parameter.specification.name
        if let tensor = moved[name] { moved[name] = tensor + Float(step / slope) * gradient }
      }
      return Double(try loss(moved).values[0])
    }
    let step = 2e-3
    let difference = (try moved(step) - moved(-step)) / (2 * step)
    #expect(abs(slope - difference) <= 0.01 * slope, "\(slope), \(difference)")
  }

  @Test func aLesionGoesOnWithAnotherValue() throws {
    final class Lesion: Probe {
      func wants(_ tap: Tap) -> Bool { tap.name == "blocks.1.mlp_branch" }
      func observe(_ tap: Tap, _ value: Tensor) -> Tensor { 0 * value }
    }
    let text = "vit(image=16,patch=4,dim=24,depth=2,heads=3,classes=7)"
    let model = try Architecture(text).configuration.makeModel(Scope(FilledParameters()))
    let x = images(try Architecture(text).configuration)
    let recorder = Recorder()
    _ = model(x, Context(probe: recorder))
    let attended = try #require(recorder.values["blocks.1.attn_res"])
    final class Last: Probe {
      var value: Tensor?
      func wants(_ tap: Tap) -> Bool {
        tap.name == "blocks.1.mlp_branch" || tap.name == "blocks.1.mlp_res"
      }
      func observe(_ tap: Tap, _ value: Tensor) -> Tensor {
        if tap.name.hasSuffix("branch") { return 0 * value }
        self.value = value
        return value
      }
    }
    let last = Last()
    let lesioned = model(x, Context(probe: last))
    let isSkipped = last.value?.values == attended.values
    #expect(isSkipped)
    let isRepeated = lesioned.values == model(x, Context(probe: Lesion())).values
    #expect(isRepeated)
    let isChanged = lesioned.values != model(x).values
    #expect(isChanged)
  }

  @Test func randomWeightsDependOnSeedAndNameAlone() throws {
    let architecture = try Architecture("vit(image=16,patch=4,dim=24,depth=2,heads=3,classes=7)")
    let one = try ModelLoader.random(architecture, seed: 5)
    let two = try ModelLoader.random(architecture, seed: 5)
    let other = try ModelLoader.random(architecture, seed: 6)
    let deeper = try ModelLoader.random(
      Architecture("vit(image=16,patch=4,dim=24,depth=3,heads=3,classes=7)"), seed: 5)
    func weight(_ model: LoadedModel, _ name: String) -> [Float] {
      model.parameters.first { $0.specification.name == name }?.tensor.values ?? []
    }
    let name = "blocks.1.mlp.fc1.weight"
    #expect(weight(one, name).count == 96 * 24)
    #expect(weight(one, name) == weight(two, name))
    #expect(weight(one, name) == weight(deeper, name))
    #expect(weight(one, name) != weight(other, name))
    #expect(weight(one, name) != weight(one, "blocks.0.mlp.fc1.weight"))
    let deviation = (weight(one, name).reduce(0) { $0 + $1 * $1 } / 2304).squareRoot()
    #expect(abs(deviation - 0.02) < 0.001)
  }
}
