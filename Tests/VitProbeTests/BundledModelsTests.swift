import Checkpoints
import Diagnostics
import Reports
import Testing

@testable import VitProbe

/// The bundled checkpoints on the bundled images reach the accuracy and the loss that PyTorch has, from the
/// file names of both to the table.
@Suite struct BundledModelsTests {
  private static let root = String(
    #filePath.dropLast("Tests/VitProbeTests/BundledModelsTests.swift".count))

  @Test(arguments: BundledData.checkpoints)
  func metricsAreTheReferences(_ name: String) throws {
    let golden = try Checkpoint.open(
      Self.root + "Tests/ModelsTests/Fixtures/bundled-\(name).safetensors")
    let right = try #require(golden.metadata["correct_of_1024"].flatMap { Int($0) })
    let loss = try #require(golden.metadata["loss_of_1024"].flatMap { Double($0) })
    let data = Self.root + "notebooks-data/"
    let subject = try openSubject(
      SubjectArgument(data + "checkpoints/\(name)_fmnist.safetensors"), label: nil,
      preprocessing: PreprocessingOverrides(), features: FeatureLayout())
    let images = DataArgument(path: data + "images/fmnist-test-1024-images-idx3-ubyte.gz")
    let run = try FeatureRun(
      [subject], on: images.samples(), analyses: [VarianceAnalyzer()], options: FeatureRun.Options()
    )
    let metrics = try #require(try run().reports.first { $0.analysis == "metrics" })
    let table = try #require(metrics.report.tables.first)
    let row = try #require(table.rows.first)
    func cell(_ column: String) throws -> Cell {
      row[try #require(table.columns.firstIndex { $0.name == column })]
    }
    #expect(try cell("n") == 1024)
    #expect(try cell("acc") == Cell(Double(right) / 1024))
    guard case .real(let own) = try cell("nll") else {
      Issue.record("the loss is no number")
      return
    }
    #expect(abs(own - loss) <= 1e-5 * loss)
  }
}
