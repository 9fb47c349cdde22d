import FoundationEssentials
import Testing

@testable import Tensors

/// A fused function or an operation that is recorded whole, with inputs for it: each is compared with its
/// steps.
struct FusedCase: Sendable, CustomTestStringConvertible {
  enum Subject {
    case function(any FusedFunction)
    case operation(any SweptOperation)
  }

  var name: String
  var shapes: [Shape]
  var make: @Sendable ([Tensor]) -> Subject
  var testDescription: String { name }

  init(
    _ name: String, _ shapes: [Shape], _ make: @escaping @Sendable ([Tensor]) -> any FusedFunction
  ) {
    (self.name, self.shapes, self.make) = (name, shapes, { .function(make($0)) })
  }

  init(_ name: String, _ shapes: [Shape], operation: any SweptOperation) {
    (self.name, self.shapes, self.make) = (name, shapes, { _ in .operation(operation) })
  }

  func inputs(seed: UInt64 = 17) -> [Tensor] {
    var random = Random(seed: seed)
    return shapes.map { random.normal($0) }
  }

  /// As it is called.
  func result(_ x: [Tensor]) -> Tensor {
    switch make(x) {
    case .function(let function): function()
    case .operation(let operation): operation.apply(x)
    }
  }

  func steps(_ x: [Tensor]) -> Tensor {
    switch make(x) {
    case .function(let function): function.steps(InnerTaps())
    case .operation(let operation): operation.steps(x)
    }
  }

  private static func packed(_ qkv: Tensor) -> PackedHeads { PackedHeads(qkv, heads: 2) }
  private static func norm(_ gamma: Tensor, _ beta: Tensor) -> RowNormalization {
    RowNormalization(gamma: gamma, beta: beta, epsilon: 1e-5)
  }
  private static let windows = WindowLayout(rows: [5, 0, 3, 2, 1, 4], biases: [1, 0])

  static let all: [FusedCase] = [
    .init("linear", [[7, 301, 8], [8], [8], [5, 8], [5], [5], [7, 301, 5]]) {
      FusedLinear(
        x: $0[0], normalization: norm($0[1], $0[2]), weights: ($0[3], $0[4]), activation: .gelu,
        gain: $0[5], residual: $0[6])
    },
    .init("linear of few rows", [[7, 2, 8], [8], [8], [531, 8], [531], [531], [7, 2, 531]]) {
      FusedLinear(
        x: $0[0], normalization: norm($0[1], $0[2]), weights: ($0[3], $0[4]), activation: .gelu,
        gain: $0[5], residual: $0[6])
    },
    .init("product", [[3, 4, 8], [5, 8]]) { FusedLinear(x: $0[0], weights: ($0[1], nil)) },
    .init("perceptron", [[3, 150, 8], [8], [8], [20, 8], [20], [8, 20], [8], [8]]) {
      FusedLinear(
        x: $0[0], normalization: norm($0[1], $0[2]), hidden: (($0[3], $0[4]), .gelu),
        weights: ($0[5], $0[6]), gain: $0[7], residual: $0[0])
    },
    .init("local attention", [[2, 5, 7, 32], [2, 5, 7, 32], [2, 5, 7, 32], [25, 32]]) {
      FusedLocalAttention(
        queries: $0[0], keys: $0[1], values: $0[2], positions: $0[3],
        window: SlidingWindow(kernel: 5, padding: 2), heads: 2, scale: 0.4)
    },
    .init("local attention of every channel", [[2, 5, 7, 20], [2, 5, 7, 20], [2, 5, 7, 20]]) {
      FusedLocalAttention(
        queries: $0[0], keys: $0[1], values: $0[2], positions: nil,
        window: SlidingWindow(kernel: 3, padding: 1), heads: 20, scale: 0.4)
    },
    .init(
      "local attention to mixtures",
      [[2, 5, 7, 20], [2, 5, 7, 20], [2, 5, 7, 60], [16, 3]]
    ) {
      FusedLocalAttention(
        queries: $0[0], keys: $0[1], values: $0[2], positions: nil, shares: $0[3],
        window: SlidingWindow(kernel: (4, 4), padding: (2, 2, 1, 1)), heads: 20, scale: 0.4)
    },
    .init("mixing by kernels of places", [[2, 7, 6, 32], [2, 4, 3, 5], [36, 5], [36]]) {
      FusedKernelMixing(
        x: $0[0], source: $0[1], expand: ($0[2], $0[3]),
        window: SlidingWindow(kernel: 3, stride: 2, padding: 1))
    },
    .init("attention", [[3, 5, 6], [3, 4, 6], [3, 4, 6], [2, 5, 4]]) {
      FusedAttention(
        operands: .separate(q: $0[0], k: $0[1], v: $0[2]), heads: 2, scale: 0.4, bias: $0[3])
    },
    .init("packed attention", [[3, 9, 18]]) {
      FusedAttention(operands: .packed(packed($0[0])), heads: 2, scale: 0.4)
    },
    .init("packed attention with a bias", [[4, 9, 18], [2, 2, 9, 9]]) {
      FusedAttention(operands: .packed(packed($0[0])), heads: 2, scale: 0.4, bias: $0[1])
    },
    .init(
      "packed attention, recorded whole", [[3, 9, 18]],
      operation: PackedAttention(heads: 2, scale: 0.4)),
    .init(
      "gradient of packed attention", [[3, 9, 18], [3, 9, 6]],
      operation: PackedAttentionGradient(heads: 2, scale: 0.4)),
    .init("scaled dot products", [[2, 3, 5, 4], [2, 3, 7, 4], [2, 3, 7, 6]]) {
      FusedScaledDotProduct(q: $0[0], k: $0[1], v: $0[2], scale: 0.4)
    },
    .init(
      "scaled dot products and a bias",
      [[9, 3, 5, 4], [9, 3, 7, 4], [9, 3, 7, 6], [9, 1, 5, 7]]
    ) {
      FusedScaledDotProduct(q: $0[0], k: $0[1], v: $0[2], scale: 0.4, bias: $0[3])
    },
    .init("attention maps", [[3, 9, 18], [3, 2, 9, 9]]) {
      FusedMaps(packed: packed($0[0]), scale: 0.4, carried: $0[1], carriedScale: 0.3)
    },
    .init("window attention", [[3, 6, 18], [2, 2, 3, 3]]) {
      FusedWindowAttention(
        packed: packed($0[0]), layout: windows, scale: 0.4, part: .whole(bias: $0[1]))
    },
    .init("window attention, one bias", [[3, 6, 18], [1, 2, 3, 3]]) {
      FusedWindowAttention(
        packed: packed($0[0]), layout: WindowLayout(rows: [5, 0, 3, 2, 1, 4], biases: [0, 0]),
        scale: 0.4, part: .whole(bias: $0[1]))
    },
    .init("maps of windows", [[3, 6, 18], [2, 2, 3, 3]]) {
      FusedWindowAttention(
        packed: packed($0[0]), layout: windows, scale: 0.4, part: .maps(bias: $0[1]))
    },
    .init("maps of windows applied", [[3, 6, 18], [3, 2, 2, 3, 3]]) {
      FusedWindowAttention(
        packed: packed($0[0]), layout: windows, scale: 0.4, part: .mix(maps: $0[1]))
    },
    .init(
      "self-attention", [[9, 5, 8], [8], [8], [18, 8], [18], [8, 6], [8], [8]]
    ) {
      FusedSelfAttention(
        x: $0[0], normalization: norm($0[1], $0[2]), qkv: ($0[3], $0[4]),
        projection: ($0[5], $0[6]), heads: 2, scale: 0.4, gain: $0[7])
    },
    .init(
      "self-attention in windows", [[5, 6, 8], [8], [8], [18, 8], [8, 6], [2, 2, 3, 3]]
    ) {
      FusedSelfAttention(
        x: $0[0], normalization: norm($0[1], $0[2]), qkv: ($0[3], nil), projection: ($0[4], nil),
        heads: 2, scale: 0.4, windows: AttentionWindows(layout: windows, bias: $0[5]))
    },
    .init("refinement", [[2, 2, 6, 5], [4, 2], [4], [4, 3, 3], [4], [2, 4], [2], [2], [2]]) {
      FusedRefinement(
        maps: $0[0],
        refinement: MapRefinement(
          expand: $0[1], expandShift: $0[2], local: $0[3], localShift: $0[4], reduce: $0[5],
          reduceShift: $0[6], activation: .relu6, addsInput: true,
          affine: ChannelAffine(scale: $0[7], shift: $0[8])))
    },
    .init("convolution", [[2, 6, 5, 3], [4, 3, 3, 3], [4], [4], [2, 6, 5, 4]]) {
      FusedConvolution(
        x: $0[0], weight: $0[1], window: .init(kernel: 3, padding: 1),
        affine: ChannelAffine(scale: $0[2], shift: $0[3]), residual: $0[4], activation: .relu)
    },
    .init("depth-wise convolution", [[2, 6, 9, 19], [19, 3, 3, 1], [19], [19], [2, 6, 5, 19]]) {
      FusedConvolution(
        x: $0[0], weight: $0[1],
        window: .init(kernel: (3, 3), stride: (1, 2), padding: (2, 1, 2, 1), dilation: (2, 1)),
        groups: 19, affine: ChannelAffine(scale: $0[2], shift: $0[3]), residual: $0[4],
        activation: .silu)
    },
    .init(
      "convolution in narrow groups", [[2, 6, 9, 12], [18, 3, 3, 4], [18], [18], [2, 6, 5, 18]]
    ) {
      FusedConvolution(
        x: $0[0], weight: $0[1],
        window: .init(kernel: (3, 3), stride: (1, 2), padding: (2, 1, 2, 1), dilation: (2, 1)),
        groups: 3, affine: ChannelAffine(scale: $0[2], shift: $0[3]), residual: $0[4],
        activation: .relu)
    },
    .init("affine", [[2, 6, 4], [4], [4], [2, 6, 4]]) {
      FusedAffine(
        x: $0[0], affine: ChannelAffine(scale: $0[1], shift: $0[2]), residual: $0[3],
        activation: .gelu)
    },
    .init("affine of planes", [[2, 3, 4, 5], [3], [3]]) {
      FusedPlaneAffine(x: $0[0], affine: ChannelAffine(scale: $0[1], shift: $0[2]))
    },
    .init("layer norm", [[4, 7], [7], [7]]) {
      FusedLayerNorm(x: $0[0], gamma: $0[1], beta: $0[2], epsilon: 1e-5)
    },
    .init(
      "gradient of a normalisation", [[4, 7], [4, 7]], operation: NormalizeGradient(epsilon: 1e-5)),
  ]
}

/// Sweeps and their steps are one function, derivatives and all.
@Suite struct FusedFunctionTests {
  private func bits(_ x: Tensor) -> [UInt32] { x.values.map(\.bitPattern) }

  private func expectClose(_ a: Tensor?, _ b: Tensor?, _ tolerance: Double, _ what: String) {
    guard let a, let b else {
      #expect(a == nil && b == nil, "\(what)")
      return
    }
    #expect(a.shape == b.shape)
    #expect(
      distance(a.values.map(Double.init), b.values.map(Double.init)) <= tolerance, "\(what)")
  }

  @Test(arguments: FusedCase.all)
  func aSweepHasTheBitsOfItsSteps(_ fused: FusedCase) {
    let x = fused.inputs()
    switch fused.make(x) {
    case .function(let function):
      #expect(function.isSweepFaster)
      let y = Tensor(uninitialized: function.outputShape)
      function.sweep(into: y)
      #expect(bits(y) == bits(function.steps(InnerTaps())))
      #expect(bits(y) == bits(function()))
    case .operation(let operation):
      expectClose(operation.apply(x), operation.steps(x), 1e-6, "values")
    }
    // Tracked, the steps go down to operations with rules of their own.
    expectClose(fused.result(x), fused.steps(x.map { $0.tracked() }), 2e-6, "tracked")
  }

  /// Whoever looks sees a value of every place there is, and changes no bit.
  @Test(arguments: FusedCase.all)
  func lookingInsideChangesNoBit(_ fused: FusedCase) {
    let x = fused.inputs()
    guard case .function(let function) = fused.make(x) else { return }
    let plain = bits(function())
    let places: [WritableKeyPath<InnerTaps, InnerTap?>] = [
      \.maps, \.hidden, \.beforeAffine, \.afterAffine, \.branch,
    ]
    for place in places {
      var inner = InnerTaps()
      inner[keyPath: place] = { $0 }
      #expect(bits(function(inner)) == plain)
    }
    let all = InnerTaps(
      maps: { $0 }, hidden: { $0 }, beforeAffine: { $0 }, afterAffine: { $0 }, branch: { $0 })
    #expect(bits(function(all)) == plain)
  }

  @Test(arguments: FusedCase.all)
  func derivativesAreThoseOfTheSteps(_ fused: FusedCase) {
    let x = fused.inputs()
    let directions = fused.inputs(seed: 23)
    var random = Random(seed: 29)
    let cotangent = random.normal(fused.result(x).shape)
    func derivatives(_ f: ([Tensor]) -> Tensor) -> (first: [Tensor?], second: [Tensor?]) {
      let tracked = x.map { $0.tracked() }
      let first = pullback([(f(tracked), cotangent)], withRespectTo: tracked, recording: true)
      let roots = zip(first, directions).compactMap { g, v in g.map { (value: $0, cotangent: v) } }
      return (first, pullback(roots, withRespectTo: tracked))
    }
    let (own, steps) = (derivatives(fused.result), derivatives(fused.steps))
    for index in x.indices {
      expectClose(own.first[index], steps.first[index], 5e-6, "first, input \(index)")
      expectClose(own.second[index], steps.second[index], 2e-5, "second, input \(index)")
    }
    // Not recorded, a derivative may take yet another way.
    let tracked = x.map { $0.tracked() }
    let plain = pullback([(fused.result(tracked), cotangent)], withRespectTo: tracked)
    for index in x.indices {
      expectClose(plain[index], steps.first[index], 5e-6, "not recorded, input \(index)")
    }
  }

  /// Every fused function and every operation recorded whole has a case above.
  @Test func allAreCompared() throws {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let folder = root.appending(path: "Sources/Tensors/Operations").path
    var declared: Set<String> = []
    for file in try FileManager.default.contentsOfDirectory(atPath: folder) {
      let data = try Data(contentsOf: URL(filePath: "\(folder)/\(file)"))
      let text = String(decoding: data, as: UTF8.self)
      for match in text.matches(of: /struct (\w+): (?:FusedFunction|SweptOperation)/) {
        declared.insert(String(match.output.1))
      }
    }
    let compared = FusedCase.all.map { fused in
      switch fused.make(fused.inputs()) {
      case .function(let function): "\(type(of: function))"
      case .operation(let operation): "\(type(of: operation))"
      }
    }
    #expect(declared.count > 5)
    #expect(declared == Set(compared))
  }
}
