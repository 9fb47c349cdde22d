import Checkpoints
import Models
import Tensors
import Testing

/// Refiner: the public code's models against their counts and logits, and the paper's form against plain
/// attention and against its other reading.
@Suite struct RefinerTests {
  // MARK: As published

  private static let counts: [(String, Int, Int)] = [
    ("Refiner_ViT_S", 25_408_656, 420),
    ("refiner_vit(dense=false)", 25_023_656, 418),
    ("Refiner_ViT_M", 55_450_932, 812),
    ("refiner_vit(dim=420,depth=32,dense=false)", 55_029_932, 810),
    ("Refiner_ViT_L", 81_150_192, 812),
    ("refiner_vit(dim=512,depth=32,heads=16,dense=false)", 80_637_192, 810),
    ("refiner_vit(dim=512,depth=32,heads=16,image=384)", 81_344_752, 812),
    ("refiner_vit(dim=512,depth=32,heads=16,image=448)", 81_451_248, 812),
  ]

  @Test(arguments: counts)
  func hasTheReferencesParameters(_ name: String, _ count: Int, _ tensors: Int) throws {
    let summary = try ModelSummary(Architecture(name))
    #expect(summary.parameterCount == count)
    let untold = summary.parameters.filter { $0.name.hasSuffix("running_mean") }.count
    #expect(summary.parameters.count + untold == tensors)
  }

  private static let small = "refiner_vit(image=32,patch=8,dim=24,heads=4,classes=5,"
  private static let logits: [(String, [Double])] = [
    ("depth=4)", [0.583563322, -0.418434572, -0.067458358, -0.723713351, -1.259183138]),
    (
      "depth=4,share=0-0-0-0,transform=0-0-1-1,transform-expand=6)",
      [-0.482599114, 0.050436355, -0.043478270, -0.719484619, -0.585726767]
    ),
    (
      "depth=2,embed=plain,dense=false)",
      [0.077842871, 0.361945655, 0.478299388, -0.050327082, -1.057045882]
    ),
  ]

  @Test(arguments: logits)
  func logitsEqualTheReference(_ rest: String, _ expected: [Double]) throws {
    let model = try Architecture(Self.small + rest).configuration
      .makeModel(Scope(FilledParameters()))
    let logits = model(
      DeterministicFill.values("input", [1, 3, 32, 32], isInput: true).permuted([0, 2, 3, 1]))
    for (value, golden) in zip(logits.values, expected) {
      #expect(abs(Double(value) - golden) < 2e-6)
    }
  }

  @Test func sumsOfSquaresOfTheFirstCase() throws {
    let model = try Architecture(Self.small + "depth=4)").configuration
      .makeModel(Scope(FilledParameters()))
    let recorder = Recorder()
    _ = model(
      DeterministicFill.values("input", [1, 3, 32, 32], isInput: true).permuted([0, 2, 3, 1]),
      Context(probe: recorder))
    let expected: [(String, Double)] = [
      ("embed", 5.9719835),
      ("blocks.0.attn_res", 195.6395063), ("blocks.0.attn_map", 4.0630683),
      ("blocks.0.mlp_res", 206.6733720),
      ("blocks.1.attn_res", 204.4393498), ("blocks.1.attn_map", 0.1667420),
      ("blocks.1.mlp_res", 210.3827326),
      ("blocks.2.attn_res", 633.5286286), ("blocks.2.attn_map", 7.9480954),
      ("blocks.2.mlp_res", 643.7257227),
      ("blocks.3.attn_res", 1371.8967584), ("blocks.3.attn_map", 20.0858991),
      ("blocks.3.mlp_res", 1375.9944535),
    ]
    for (name, golden) in expected {
      let values = try #require(recorder.values[name]).values
      let squares = values.reduce(0.0) { $0 + Double($1) * Double($1) }
      #expect(abs(squares / golden - 1) < 2e-6, "\(name)")
    }
  }

  @Test func whatMakesNoNetworkIsRefused() throws {
    for text in [
      "refiner_vit(share=1-0,depth=2)", "refiner_vit(depth=2,share=0-1-0)",
      "refiner_vit(depth=2,transform=0-1)", "refiner_vit(refine=conv,expand=3)",
      "refiner_vit(dim=100,heads=12)", "refiner_vit(patch=7)", "refiner_vit(classes=0,dense=true)",
      "refiner_vit(depth=2,share=0-2)", "refiner(dim=384,heads=12,expand=5,reduce=false)",
      "refiner(kernel=0)", "refiner(embed=cnn,patch=7)",
    ] {
      let error = #expect(throws: ModelError.self, "\(text)") { try Architecture(text) }
      #expect(error?.kind == .badArgument, "\(text)")
    }
  }

  @Test func familiesAreToldApart() throws {
    for (text, other) in [
      ("refiner_vit(image=32,patch=8,dim=24,depth=2,heads=4,classes=5)", "vit_tiny_patch16_224"),
      ("refiner(image=32,patch=8,dim=24,depth=2,heads=4,classes=5)", "Refiner_ViT_S"),
      (
        "refiner(image=32,patch=8,dim=24,depth=2,heads=4,classes=5,local=false,reduce=false,expand=2)",
        "vit_tiny_patch16_224"
      ),
      (
        "refiner(image=32,patch=8,dim=24,depth=1,heads=4,classes=5,kernel=5,expand=1,embed=cnn)",
        "vit_tiny_patch16_224"
      ),
    ] {
      let asked = try Architecture(text)
      let summary = try ModelSummary(asked)
      try withHollowCheckpoint(summary.parameters.map { ($0.name, $0.storedShape) }) { checkpoint in
        let found = try ModelLoader.detect(checkpoint)
        #expect(found.text == asked.text)
        let error = refusal(of: checkpoint, as: other)
        #expect(error?.kind == .conflict)
        #expect(error?.description.contains("the family \(asked.family) ") == true)
      }
    }
  }

  private func refusal(of checkpoint: Checkpoint, as name: String) -> ModelError? {
    #expect(throws: ModelError.self) {
      try ModelLoader.load(checkpoint, as: Architecture(name))
    }
  }

  // MARK: The paper's form

  /// Weights of a vision transformer, and refinement that changes nothing.
  private struct IdentityParameters: ParameterSource {
    func tensor(for specification: ParameterSpecification) throws(ParameterError) -> Tensor {
      let (name, shape) = (specification.name, specification.storedShape)
      if name.hasSuffix("attn.expand.weight") || name.hasSuffix("attn.reduce.weight") {
        return Tensor(shape: Shape(shape)) { buffer in
          for index in buffer.indices {
            buffer[index] = index / shape[1] == index % shape[1] ? 1 : 0
          }
        }
      }
      if name.hasSuffix("attn.local.weight") {
        let taps = shape[2] * shape[3]
        return Tensor(shape: Shape(shape)) { buffer in
          for index in buffer.indices { buffer[index] = index % taps == taps / 2 ? 1 : 0 }
        }
      }
      return try FilledParameters().tensor(for: specification)
    }
  }

  @Test(arguments: [3, 5])
  func identityIsPlainAttention(_ kernel: Int) throws {
    let extents = "image=32,patch=4,dim=24,depth=3,heads=4,classes=5,mlp=72"
    let refined = try Architecture("refiner(\(extents),expand=1,kernel=\(kernel))").configuration
      .makeModel(Scope(IdentityParameters()))
    let plain = try Architecture("vit(\(extents))").configuration
      .makeModel(Scope(FilledParameters()))
    let x = DeterministicFill.values("input", [2, 32, 32, 3], isInput: true)
    let (a, b) = (Recorder { !$0.name.hasSuffix("raw") }, Recorder())
    _ = refined(x, Context(probe: a))
    _ = plain(x, Context(probe: b))
    #expect(a.taps.map(\.name) == b.taps.map(\.name))
    for (name, expected) in b.values {
      let values = try #require(a.values[name]).values
      let largest = expected.values.map(abs).max() ?? 0
      let error = zip(values, expected.values).map { abs($0 - $1) }.max() ?? 0
      #expect(error <= 1e-6 * largest, "\(name)")
    }
  }

  /// `(w * A) V = sum_p shift_rows(A, p - c) U_p` with `U_p[m] = sum_q w[p, q] V[m - (q - c)]`: attention
  /// over values that are first gathered locally (Zhou et al. 2021, section 3).
  @Test(arguments: [1, 3, 5])
  func localAttentionIsLocalGatheringOfValues(_ k: Int) {
    let (t, d, c) = (19, 6, (k - 1) / 2)
    let maps = DeterministicFill.values("maps", [1, 1, t, t], isInput: true).softmax(scale: 3)
    let kernel = DeterministicFill.values("kernel", [1, k, k], isInput: true)
    let values = DeterministicFill.values("values", [1, t, d], isInput: true)
    let left = MapRefinement(local: kernel)(maps).applied(to: values).values
    let (a, w, v) = (
      maps.values.map(Double.init), kernel.values.map(Double.init), values.values.map(Double.init)
    )
    var right = [Double](repeating: 0, count: t * d)
    for p in 0..<k {
      var gathered = [Double](repeating: 0, count: t * d)
      for m in 0..<t {
        for q in 0..<k where (0..<t).contains(m - (q - c)) {
          for i in 0..<d { gathered[m * d + i] += w[p * k + q] * v[(m - (q - c)) * d + i] }
        }
      }
      for row in 0..<t where (0..<t).contains(row + p - c) {
        for m in 0..<t {
          for i in 0..<d { right[row * d + i] += a[(row + p - c) * t + m] * gathered[m * d + i] }
        }
      }
    }
    for (x, y) in zip(left, right) { #expect(abs(Double(x) - y) < 1e-5) }
  }

  @Test func ablationsCostWhatTheyShould() throws {
    let base = "refiner(image=32,patch=4,dim=48,depth=2,heads=4,classes=10,"
    func cost(_ rest: String) throws -> (parameters: Int, multiplyAdds: Int) {
      let summary = try ModelSummary(Architecture(base + rest))
      return (summary.parameterCount, summary.multiplyAdds)
    }
    let (t, h, blocks) = (65, 4, 2)
    let plain = try cost("expand=1,local=false,reduce=false)")
    for (expand, kernel) in [(1, 3), (2, 3), (3, 3), (3, 5)] {
      let maps = expand * h
      let full = try cost("expand=\(expand),kernel=\(kernel))")
      let extra = maps * h + maps * kernel * kernel + h * maps - h * h
      #expect(full.parameters - plain.parameters == blocks * extra)
      #expect(full.multiplyAdds - plain.multiplyAdds == blocks * extra * t * t)
    }
    let wide = try cost("expand=3,local=false,reduce=false)")
    #expect(wide.parameters - plain.parameters == blocks * 2 * h * h)
    let reduced = try cost("expand=3,local=false)")
    #expect(reduced.parameters - wide.parameters == blocks * 3 * h * h)
  }

  @Test func withoutReductionValuesAreCutAmongTheMaps() throws {
    let architecture = try Architecture(
      "refiner(image=16,patch=4,dim=24,depth=1,heads=2,expand=3,reduce=false,classes=3)")
    let recorder = Recorder { $0.kind == .attentionMap }
    let model = try architecture.configuration.makeModel(Scope(FilledParameters()))
    _ = model(
      DeterministicFill.values("input", [2, 16, 16, 3], isInput: true), Context(probe: recorder))
    #expect(recorder.values["blocks.0.attn_map_raw"]?.shape == [2, 2, 17, 17])
    #expect(recorder.values["blocks.0.attn_map"]?.shape == [2, 6, 17, 17])
  }

  /// The sweep over blocks of rows against the steps one after the other, which tracked values take.
  @Test(arguments: [(1, 5, 1), (2, 67, 3), (3, 150, 5), (1, 260, 2)])
  func oneSweepEqualsItsSteps(_ expand: Int, _ t: Int, _ k: Int) {
    let (n, h) = (2, 4)
    let wide = expand * h
    func fill(_ name: String, _ shape: [Int]) -> Tensor {
      DeterministicFill.values(name, shape, isInput: true)
    }
    let maps = fill("maps", [n, h, t, t + 3])
    let whole = MapRefinement(
      expand: fill("expand", [wide, h]), expandShift: fill("a", [wide]),
      local: fill("local", [wide, k, k]), localShift: fill("b", [wide]),
      reduce: fill("reduce", [h, wide]), reduceShift: fill("c", [h]), activation: .relu6,
      addsInput: true, affine: ChannelAffine(scale: fill("d", [h]), shift: fill("e", [h])))
    var cases = [
      whole, MapRefinement(local: fill("local", [h, k, k])), MapRefinement(expand: whole.expand),
    ]
    cases.append(MapRefinement(expand: whole.expand, reduce: whole.reduce))
    cases.append(MapRefinement(expand: whole.expand, local: whole.local))
    for refinement in cases {
      let swept = refinement(maps)
      let steps = refinement(maps.tracked())
      #expect(swept.shape == steps.shape)
      let largest = steps.values.map(abs).max() ?? 0
      let error = zip(swept.values, steps.values).map { abs($0 - $1) }.max() ?? 1
      #expect(error <= 2e-6 * largest)
    }
    var seen: Tensor?
    let looked = whole(maps) {
      seen = $0; return $0
    }
    #expect(looked.values == whole(maps).values)
    #expect(seen?.shape == maps.shape)
  }
}
