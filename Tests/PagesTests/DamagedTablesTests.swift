import Reports
import TestSupport
import Testing

@testable import Pages

/// Tables in which fields were exchanged for others: a page or a refusal, never an end of the program.
@Suite struct DamagedTablesTests {
  private let samples = SampleRuns()

  private static let fields = [
    "", "0", "-0", "1", "-1", "1e308", "-1e308", "1.7976931348623157e308", "5e-324", "1e-300",
    "9007199254740993",
    "9223372036854775807", "-9223372036854775808", "99999999999999999999", "0.5", "nan", "inf", "x",
    "ok", "msa", "pool", "mag", "kde_decade", "neg", "entropy", "uniform_entropy", "vit",
    "</script>",
  ]

  /// The same numbers everywhere.
  private struct Generator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state ^ state >> 29
    }
  }

  /// Some rows of every table of the demo; of a few, small ones in their place that hold what the demo's do not, or
  /// that every row is needed of.
  private static let tables = Result { try sampledTables() }

  private static func sampledTables() throws -> [(name: String, csv: String)] {
    let run = try FinishedRun(reading: Demo.folder)
    let others = ["landscape", "robustness", "lesion"]
    var tables = run.tables.filter { !others.contains($0.name) }.map {
      name, table -> (name: String, csv: String) in
      // Every so many rows, so that all models and kinds are among them.
      let step = max(1, table.rows.count / 24)
      let rows = stride(from: 0, to: table.rows.count, by: step).map { table.rows[$0] }
      return (name, SampleRuns.csv(table.columns.joined(separator: ","), rows))
    }
    tables.append(
      (
        "landscape",
        SampleRuns.csv(
          "model,data,x,y,nll,se,n_images,status",
          (0..<9).map {
            ["vit", "d", "\($0 % 3 - 1)", "\($0 / 3 - 1)", "\($0 + 1)", "0.1", "9", "ok"]
          })
      ))
    tables.append(
      (
        "robustness",
        SampleRuns.csv(
          "model,data,test,severity,f_over_pi,ky,kx,eps,n_images,acc_noisy,delta_acc_pp,ci_lo,ci_hi,status",
          (0..<12).map { row in
            let places =
              row < 4
              ? ["frequency_noise", "", "0.\(row)", "", ""]
              : row < 8
                ? ["contrast", "\(row - 3)", "", "", ""]
                : ["fourier_basis", "", "", "\(row - 9)", "\(row - 10)"]
            return ["vit", "d"] + places + ["0.1", "9", "0.\(row)", "-\(row)", "-15", "1", "ok"]
          })
      ))
    tables.append(
      (
        "robustness_gradient",
        SampleRuns.csv(
          "model,data,f_over_pi,share,share_lo,share_hi,share_over_white,n_images,status",
          (0..<4).map { ["vit", "d", "0.\($0)", "0.2", "0.1", "0.3", "\($0 + 1)", "9", "ok"] })
      ))
    tables.append(
      (
        "trajectory_surface",
        SampleRuns.csv(
          "model,data,norm,x,y,nll,se,n_images,status",
          (0..<9).map {
            [
              "vit", "d", "trajectory", "\($0 % 3 - 1)", "\($0 / 3 - 1)", "\($0 + 1)", "0.1", "9",
              "ok",
            ]
          })
      ))
    tables.append(
      (
        "trajectory_axes",
        SampleRuns.csv(
          "axis,explained_variance,n_snapshots,n_values,status",
          [["x", "0.8", "3", "99", "ok"], ["y", "0.2", "3", "99", "ok"]])
      ))
    tables.append(
      (
        "trajectory",
        SampleRuns.csv(
          "index,snapshot,epoch,x,y,distance,status",
          (0..<3).map { ["\($0)", "s\($0)", "", "0.\($0)", "-0.\($0)", "1", "ok"] })
      ))
    tables.append(
      (
        "lesion",
        SampleRuns.csv(
          "model,data,layer_index,layer_name,kind,depth,head_index,n_images,delta_acc_pp,ci_lo,ci_hi,delta_nll,"
            + "nll_ci_lo,nll_ci_hi,status",
          (0..<6).map {
            [
              "vit", "d", "\($0 / 3)", "blocks.\($0 / 3).attn_branch", "msa", "0.5",
              $0 % 3 == 0 ? "" : "\($0 % 3)", "9", "-\($0)", "-9", "1", "0.1", "0", "1", "ok",
            ]
          })
      ))
    return tables
  }

  @Test func wholeTablesGiveAPage() throws {
    let run = try samples.run("whole", labels: ["vit"], try Self.tables.get())
    let page = try ReportPage(of: [run], version: "9")
    for id in ["landscape", "trajectory", "robustness", "lesion"] {
      let start = try #require(page.html.firstRange(of: "<section id=\"\(id)\"")?.upperBound)
      let end = try #require(page.html[start...].firstRange(of: "</section>")?.lowerBound)
      #expect(page.html[start..<end].contains("<figure data-plate="), "\(id)")
    }
  }

  @Test(arguments: 0..<6)
  func exchangedFieldsAreShownOrRefused(seed: Int) throws {
    var generator = Generator(state: UInt64(seed))
    let tables = try Self.tables.get().map { name, csv -> (name: String, csv: String) in
      var lines = csv.split(separator: "\n").map {
        $0.split(separator: ",", omittingEmptySubsequences: false)
      }
      // One column of a table whole, or some fields of it.
      let column = Int.random(in: 0..<lines[0].count, using: &generator)
      let isWhole = Bool.random(using: &generator)
      let numbers = Self.fields.prefix(15)
      let field = numbers.randomElement(using: &generator) ?? ""
      for row in lines.indices.dropFirst() where isWhole || row % 5 == seed % 5 {
        let anyField =
          (seed % 4 == 0 ? Self.fields : Array(numbers)).randomElement(using: &generator) ?? ""
        lines[row][column] = isWhole ? field[...] : anyField[...]
      }
      return (name, lines.map { $0.joined(separator: ",") }.joined(separator: "\n") + "\n")
    }
    // Each kind alone, for one that is refused not to hide the others.
    let kinds = Dictionary(grouping: tables) { $0.name.prefix { $0 != "_" } }
    for (kind, tables) in kinds.sorted(by: { $0.key < $1.key }) {
      do {
        let run = try samples.run("run\(seed)\(kind)", labels: ["vit"], tables)
        let page = try ReportPage(of: [run, run], version: "9")
        #expect(page.html.utf8.count < ReportPage.limit)
      } catch let error as ResultsError {
        #expect(error.kind == .damaged)
      }
    }
  }
}
