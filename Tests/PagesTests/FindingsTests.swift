import Reports
import Testing

@testable import Pages

/// Rules on tables whose answers are known.
@Suite struct FindingsTests {
  private let samples = SampleRuns()

  private func findings(_ tables: [(name: String, csv: String)]) throws -> [Finding] {
    let run = try RunResults(
      try samples.run("run\(tables.count)\(tables[0].name)", labels: ["m"], tables), number: 0,
      title: "run")
    return try Findings(run: run, layers: try LayerIndex([run])).all
  }

  @Test func stepsAreCountedBeyondTheirErrors() throws {
    // Down by 1 with an error of 0.14; up by 0.2 with 0.14, which shows nothing; up by 2.
    let table = SampleRuns.variance(
      "m",
      [
        ("embed", "embed", 3, 0.1), ("blocks.0.attn_res", "msa", 2, 0.1),
        ("blocks.0.mlp_res", "mlp", 5, 0.1), ("blocks.1.attn_res", "msa", 5.2, 0.1),
        ("blocks.1.mlp_res", "mlp", 5, 0.1), ("blocks.2.attn_res", "msa", 7, 0.1),
      ])
    let found = try findings([("variance", table)])
    #expect(
      found.map(\.text) == [
        "Self-attentions that lower the variance of feature maps: m 1 of 3 (1 raise it)"
      ]
    )
    #expect(found[0].weight == .result && found[0].view == "variance")
  }

  @Test func neighboursThatAreTheSameAreCounted() throws {
    let layers = ["blocks.0.mlp_res", "blocks.1.mlp_res", "blocks.2.mlp_res"]
    let values = [[1, 0.985, 0.5], [0.985, 1, 0.98], [0.5, 0.98, 1]]
    let found = try findings([("cka", SampleRuns.cka("m", layers, values))])
    #expect(
      found.map(\.text) == ["Steps between neighbouring blocks that change little: m 1 of 2"])
    #expect(found[0].key == 0)
    let few = try findings([("cka", SampleRuns.cka("m", layers, values, batches: 4)), ("x", "a\n")])
    #expect(
      few[0]
        == Finding(
          weight: .warning, text: "Intervals of CKA rest on 4 minibatches",
          rule: "fewer than 8 minibatches to resample", view: "cka"))
  }

  @Test func readOutsAndStatusesWarn() throws {
    let metrics = SampleRuns.csv(
      "model,n,acc,top5,nll,ece,status",
      [
        ["m", "10", "0.9", "", "1", "0.01", "ok"], ["b", "10", "0.1", "", "2", "0.3", "at_chance"],
      ])
    let hessian = SampleRuns.csv(
      "model,which,rank,eigenvalue,residual,batch_index,status",
      [
        ["m", "mag", "0", "3", "0.1", "0", "ok"],
        ["m", "mag", "1", "2", "0.5", "0", "not_converged"],
      ])
    let found = try findings([("metrics", metrics), ("hessian_eigs", hessian)])
    #expect(
      found.map(\.text) == [
        "Accuracy at chance: b", "hessian_eigs.csv: not_converged in 1 of 2 rows",
        "Accuracy 90.0\u{A0}% (m), the lowest 10.0\u{A0}% (b)",
        "Probabilities are off by more than 5 points on average: b",
      ])
    #expect(found.map(\.weight) == [.warning, .warning, .result, .result])
  }

  @Test func evenHeadsAndLesionsAreFound() throws {
    let columns = "model,layer_index,layer_name,depth,head,statistic,n_images,value,se,status"
    func row(_ head: String, _ statistic: String, _ value: Double) -> [String] {
      ["m", "0", "blocks.0.attn_map", "0", head, statistic, "10", "\(value)", "0.1", "ok"]
    }
    let attention = SampleRuns.csv(
      columns,
      [
        row("", "uniform_entropy", 2), row("0", "entropy", 1.95), row("1", "entropy", 1.97),
        row("", "entropy", 1.96),
      ])
    let lesion = SampleRuns.csv(
      "model,layer_index,layer_name,kind,head_index,n_images,delta_acc_pp,ci_lo,ci_hi,delta_nll,nll_ci_lo,"
        + "nll_ci_hi,status",
      [
        ["m", "0", "blocks.0.attn_branch", "msa", "", "10", "-2", "-5", "1", "0", "0", "0", "ok"],
        [
          "m", "1", "blocks.0.mlp_branch", "mlp", "", "10", "-30", "-40", "-20", "0", "0", "0",
          "ok",
        ],
      ])
    let found = try findings([("attention", attention), ("lesion", lesion)])
    #expect(
      found.map(\.text) == [
        "1 of 2 heads attend almost evenly, the first in m, blocks.0.attn_map",
        "Needed most: m blocks.0.mlp_branch (−30.00 pp; 1 of 2 cost nothing that shows)",
      ])
  }
}

/// Names of layers, and differences of two runs.
@Suite struct ComparisonTests {
  private let samples = SampleRuns()

  @Test func namesAreOfSitesAndBlocks() {
    for (name, site, block) in [
      ("blocks.0.attn_res", "blocks.0.attn", "blocks.0"),
      ("blocks.0.attn_map", "blocks.0.attn", "blocks.0"),
      ("blocks.0.attn_map_raw", "blocks.0.attn", "blocks.0"),
      ("blocks.0.attn_branch", "blocks.0.attn", "blocks.0"),
      ("layer1.0.branch", "layer1.0", "layer1.0"),
      ("layer1.0", "layer1.0", "layer1.0"), ("embed", "embed", "embed"), ("_map", "_map", "_map"),
      ("a.mapped", "a.mapped", "a"), (".", ".", "."), ("", "", ""),
    ] {
      #expect(LayerIndex.site(of: name) == site, "\(name)")
      #expect(LayerIndex.block(of: site) == block, "\(name)")
    }
  }

  @Test func mapsInsideWholeBlocksAreOfThem() throws {
    let attention = SampleRuns.csv(
      "model,layer_name,depth",
      [["m", "layer2.1.attn_map", "0.4"], ["m", "layer3.attn_map", "1"]])
    let run = try RunResults(
      try samples.run(
        "run", labels: ["m"],
        [
          ("attention", attention),
          (
            "variance",
            SampleRuns.variance("m", [("layer2.1", "msa", 1, 0.1), ("layer4", "mlp", 1, 0.1)])
          ),
        ]), number: 0, title: "run")
    let layers = try LayerIndex([run])
    #expect(layers.layers.map(\.name) == ["layer2.1", "layer4", "layer3.attn_map"])
    #expect(layers.number(0, "m", "layer2.1.attn_map") == 0)
    #expect(layers.number(0, "m", "layer9") == nil && layers.number(1, "m", "layer4") == nil)
  }

  private func results(_ name: String, _ number: Int, _ label: String, _ value: Double) throws
    -> RunResults
  {
    try RunResults(
      try samples.run(
        name, labels: [label],
        [
          (
            "variance",
            SampleRuns.variance(
              label, [("a", "mlp", value, 0.3), ("b", "mlp", 5, 0.4), ("c", "mlp", value, 0)])
          ), ("cka", SampleRuns.cka(label, ["a", "b"], [[1, value / 10], [value / 10, 1]])),
        ]), number: number, title: name)
  }

  @Test(arguments: [("block_name", "head"), ("layer_name", "head_index")])
  func columnsHaveTheNamesOfEitherVersion(layer: String, head: String) throws {
    let curve = SampleRuns.csv(
      "model,\(layer),depth,rows,kernel,estimator,n_images,batch_size,n_batches,s,s_ratio,ci_lo,ci_hi,"
        + "ratio_ci_lo,ratio_ci_hi,status",
      ["a", "b"].map {
        [
          "m", $0, "0", "flatten", "linear", "unbiased", "8", "4", "8", "0.5", "1", "0.4", "0.6",
          "0.9", "1.1", "ok",
        ]
      })
    let attention = SampleRuns.csv(
      "model,layer_name,depth,\(head),statistic,n_images,value,se,status",
      ["", "0", "1"].map { ["m", "a_map", "0", $0, "distance", "8", "1\($0)", "0.1", "ok"] })
    let run = try samples.run(
      "run" + head, labels: ["m"], [("cka_curve", curve), ("attention", attention)])
    let html = try ReportPage(of: [run, run], version: "9").html
    for title in [
      "Feature evolution: similarity to the last block", "Attention distance by layer and head",
    ] {
      #expect(html.contains("<b>\(title)</b>"), "\(title)")
    }
    #expect(html.contains("<td><code>a_map, head 1</code></td>"))
    #expect(html.contains("<th scope=\"col\">CKA to last</th>"))
  }

  @Test func differencesStandByEffect() throws {
    let (a, b) = (try results("a", 0, "old", 1), try results("b", 1, "new", 3))
    let comparison = Comparison(first: a, second: b, layers: try LayerIndex([a, b]))
    #expect(comparison.pairs.map(\.first) == ["old"] && comparison.pairs.map(\.second) == ["new"])
    let deltas = try comparison.deltas
    #expect(deltas.map(\.layer) == ["a", "b", "c"])
    #expect(deltas.map(\.change) == [2, 0, 2] && deltas[0].model == "old → new")
    // 2 over the root of 0.09 + 0.09.
    let effect = try #require(deltas[0].effect)
    #expect(abs(effect - 4.714045207910317) < 1e-12)
    #expect(deltas[1].effect == 0 && deltas[2].effect == nil)
    let map = try #require(try comparison.maps.first?.panels[0].marks.first)
    guard case .heatMap(let cells) = map else {
      Issue.record("a heat map")
      return
    }
    #expect(abs((cells.values[0][1] ?? 0) - 0.2) < 1e-15 && cells.values[0][0] == 0)
  }

  @Test func modelsOfOtherLabelsAreNotCompared() throws {
    let tables = ["x", "y"].map { label in
      ("variance", SampleRuns.variance(label, [("a", "mlp", 1, 0.1), ("b", "mlp", 1, 0.1)]))
    }
    let one = try RunResults(
      try samples.run("one", labels: ["x", "z"], [tables[0]]), number: 0, title: "one")
    let two = try RunResults(
      try samples.run("two", labels: ["y"], [tables[1]]), number: 1, title: "two")
    let comparison = Comparison(first: one, second: two, layers: try LayerIndex([one, two]))
    #expect(comparison.pairs.isEmpty)
    #expect(try comparison.deltas.isEmpty && comparison.maps.isEmpty)
  }
}
