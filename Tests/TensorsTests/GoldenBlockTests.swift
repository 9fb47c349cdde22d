import FoundationEssentials
import Glibc
import Testing

@testable import Tensors

/// Losses, gradients and Hessian-vector products of whole blocks against PyTorch in Float64; the values
/// and how they were made are in `Fixtures/blocks.py`.
@Suite struct GoldenBlockTests {
  struct Block: Sendable, CustomTestStringConvertible {
    var name: String
    var parameters: [String]
    var output: @Sendable ([String: Tensor]) -> Tensor
    var testDescription: String { name }
  }

  static let blocks: [Block] = [
    .init(
      name: "vit",
      parameters: [
        "x", "norm1.gamma", "norm1.beta", "qkv.weight", "qkv.bias", "proj.weight", "proj.bias",
        "norm2.gamma", "norm2.beta", "fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias",
      ],
      output: { p in
        func at(_ name: String) -> Tensor { p[name] ?? Tensor([], shape: [0]) }
        var x = at("x")
        let y = x.layerNorm(gamma: at("norm1.gamma"), beta: at("norm1.beta"), epsilon: 1e-6)
        let qkv = linear(y, at("qkv.weight"), bias: at("qkv.bias"))
        let mixed = attention(qkv: qkv, heads: 2, scale: 0.5)
        x = linear(mixed, at("proj.weight"), bias: at("proj.bias"), residual: x)
        let z = x.layerNorm(gamma: at("norm2.gamma"), beta: at("norm2.beta"), epsilon: 1e-6)
        let hidden = linear(z, at("fc1.weight"), bias: at("fc1.bias"), activation: .gelu)
        return linear(hidden, at("fc2.weight"), bias: at("fc2.bias"), residual: x)
      }),
    .init(
      name: "bottleneck",
      parameters: ["x"]
        + (1...4).flatMap { ["conv\($0)", "norm\($0).gamma", "norm\($0).beta"] },
      output: { p in
        func at(_ name: String) -> Tensor { p[name] ?? Tensor([], shape: [0]) }
        func folded(_ index: Int) -> ChannelAffine {
          let gamma = at("norm\(index).gamma")
          let count = gamma.shape[0]
          let mean = Tensor((0..<count).map { -0.1 * Float($0) }, shape: [count])
          let deviation = Tensor(
            (0..<count).map { 1 / (0.5 + 0.25 * Float($0) + 1e-5).squareRoot() }, shape: [count])
          let scale = gamma * deviation
          return ChannelAffine(scale: scale, shift: scale * mean + at("norm\(index).beta"))
        }
        let x = at("x")
        let skip = convolution(
          x, at("conv4"), window: .init(kernel: 1, stride: 2), affine: folded(4))
        var y = convolution(
          x, at("conv1"), window: .init(kernel: 1), affine: folded(1), activation: .relu)
        y = convolution(
          y, at("conv2"), window: .init(kernel: 3, stride: 2, padding: 1), affine: folded(2),
          activation: .relu)
        return convolution(
          y, at("conv3"), window: .init(kernel: 1), affine: folded(3), residual: skip,
          activation: .relu)
      }),
    .init(
      name: "windows", parameters: ["qkv", "bias"],
      output: { p in
        func at(_ name: String) -> Tensor { p[name] ?? Tensor([], shape: [0]) }
        return attention(qkv: at("qkv"), heads: 2, scale: 0.707_106_781, bias: at("bias"))
      }),
  ]

  /// Lines of a name, a shape and values.
  private func golden() throws -> [String: Reference] {
    let url = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "Fixtures/blocks.txt")
    let text = String(decoding: try Data(contentsOf: url), as: UTF8.self)
    var result: [String: Reference] = [:]
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ")
      let shape = words[1] == "scalar" ? [] : words[1].split(separator: "x").compactMap { Int($0) }
      result[String(words[0])] = Reference(shape, words.dropFirst(2).compactMap { Double($0) })
    }
    return result
  }

  @Test(arguments: blocks)
  func lossGradientAndProductAreThoseOfPyTorch(_ block: Block) throws {
    let golden = try golden()
    func values(_ kind: String) throws -> [Reference] {
      try block.parameters.map { try #require(golden["\(block.name)/\(kind)/\($0)"]) }
    }
    func tensors(_ kind: String) throws -> [Tensor] {
      try values(kind).map { Tensor($0.values.map(Float.init), shape: Shape($0.shape)) }
    }
    let curvature = LossCurvature(at: try tensors("parameter")) { p in
      let y = block.output(Dictionary(uniqueKeysWithValues: zip(block.parameters, p)))
      let weights = Reference([y.shape.count]) { cos(Double($0)) }
      let w = Tensor(weights.values.map(Float.init), shape: y.shape)
      return (1 / Float(y.shape.count)) * (w * y + 0.25 * (y * y)).sum()
    }
    let loss = try #require(golden["\(block.name)/loss"]).values[0]
    #expect(abs(Double(curvature.loss) - loss) <= 1e-5 * max(1, abs(loss)))
    func check(_ found: [Tensor], _ expected: [Reference], _ tolerance: Double) {
      for ((name, found), expected) in zip(zip(block.parameters, found), expected) {
        let difference = zip(found.values, expected.values).map { Double($0) - $1 }
        let whole = expected.values
        #expect(norm(difference) <= tolerance * max(1e-3, norm(whole)), "\(name)")
      }
    }
    check(curvature.gradient, try values("gradient"), 1e-5)
    check(curvature.product(with: try tensors("vector")), try values("product"), 2e-5)
  }
}
