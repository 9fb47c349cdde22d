import Diagnostics
import Images
import Models
import Reports
import Tensors
import Testing

@testable import VitProbe

/// Every family of models goes through every analysis.
@Suite struct FamilyTests {
  @Test func everyFamilyIsAmongThem() throws {
    let families = try Set(Samples.families.map { try Architecture($0.architecture).family })
    #expect(families == Set(ModelRegistry.families.map { $0.family }))
  }

  @Test(arguments: Samples.families)
  func everyAnalysisInOnePass(_ family: Samples.Family) throws {
    let model = try Samples.model(family.architecture)
    let run = try FeatureRun(
      [model], on: Samples.images(10), analyses: Samples.analyses + [AttentionAnalyzer()],
      options: Samples.options())
    let outcome = try run()
    #expect(
      outcome.reports.map(\.analysis).prefix(4) == ["cka", "fourier", "variance", "attention"])
    for (name, report) in outcome.reports {
      let table = try #require(report.tables.first)
      #expect(!table.rows.isEmpty, "\(name)")
      #expect(report.figures.isEmpty == (name == "metrics"))
      // A layer that is not finite would say so.
      let isClean = !table.csv.contains("nan_input") && !table.csv.contains("undefined_grid")
      #expect(isClean, "\(name)")
    }
  }

  @Test(arguments: Samples.families)
  func theHessianOfOneMinibatch(_ family: Samples.Family) throws {
    let model = try Samples.model(family.architecture)
    let images = try Samples.imageSet(8)
    var settings = HessianSettings()
    (settings.steps, settings.top) = (6, 1)
    let run = try HessianRun(
      [model], on: images, settings: settings, loss: TrainingLoss(), batchSize: 8, batchLimit: 1)
    let table = try #require(try run().tables.first)
    let values = (table.cells("eigenvalue") ?? []).compactMap { cell -> Double? in
      if case .real(let value) = cell { value } else { nil }
    }
    #expect(!values.isEmpty)
    #expect(values.contains { $0.magnitude > 0 })
  }

  /// A heatmap of networks with stages and one without: stages are marked on their own axes.
  @Test func heatmapsMarkStages() throws {
    let chosen = [("vit", 0), ("resnet", 1), ("swin", 5)]
    let models = try chosen.map {
      try Samples.model(Samples.families[$0.1].architecture, label: $0.0)
    }
    var settings = CKASettings()
    settings.bootstrap = 0
    let run = try FeatureRun(
      models, on: Samples.images(8), analyses: [CKAAnalyzer(settings)], options: Samples.options())
    let report = try #require(try run().reports.first { $0.analysis == "cka" }).report
    func map(_ name: String) -> HeatMap? {
      for mark in report.figures.first(where: { $0.name == name })?.panels.first?.marks ?? [] {
        if case .heatMap(let map) = mark { return map }
      }
      return nil
    }
    func stages(_ name: String) throws -> (rows: [Int], columns: [Int]) {
      let map = try #require(map(name), "\(name) of \(report.figures.map(\.name))")
      return (map.rowStages.map(\.start), map.columnStages.map(\.start))
    }
    let across = try stages("cka_resnet_swin")
    #expect(across.rows == [0, 1] && across.columns == [0, 2])
    let other = try stages("cka_vit_swin")
    #expect(other.rows.isEmpty && other.columns == [0, 2])
    #expect(try stages("cka_vit_vit").columns.isEmpty)
  }

  /// The ablations of refined maps side by side.
  @Test func ablationsSideBySide() throws {
    let base = "refiner(image=32,patch=4,dim=48,depth=2,heads=3,classes=10"
    let forms = ["", ",expand=6", ",kernel=5", ",local=false", ",reduce=false,expand=2"]
    let table = try ModelCatalogue.comparison(of: forms.map { base + $0 + ")" })
    func numbers(_ column: String) throws -> [Double] {
      try #require(table.cells(column)).compactMap {
        switch $0 {
        case .integer(let value): Double(value)
        case .real(let value): value
        default: nil
        }
      }
    }
    let parameters = try numbers("parameters")
    // In each of two blocks: 3 x 3e, 9 · 3e, 3e x 3.
    let plain = parameters[0] - 2 * Double(3 * 9 + 9 * 9 + 9 * 3)
    #expect(parameters[1] == plain + 2 * Double(3 * 18 + 9 * 18 + 18 * 3))
    #expect(parameters[2] == plain + 2 * Double(3 * 9 + 25 * 9 + 9 * 3))
    #expect(parameters[3] == plain + 2 * Double(3 * 9 + 9 * 3))
    #expect(parameters[4] == plain + 2 * Double(3 * 6 + 9 * 6))
    let work = try numbers("gmac")
    let pairs = 65.0 * 65 * 1e-9
    #expect(abs(work[1] - work[0] - 2 * pairs * 9 * (3 + 9 + 3)) < 1e-12)
    #expect(abs(work[2] - work[0] - 2 * pairs * 9 * 16) < 1e-12)
    #expect(abs(work[0] - work[3] - 2 * pairs * 9 * 9) < 1e-12)
    let details = try ModelCatalogue.Details(base + ")")
    let facts = details.facts.plainText()
    #expect(facts.contains("parameters") && facts.contains("multiply-adds an image"))
  }
}
