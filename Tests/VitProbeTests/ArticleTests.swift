import Diagnostics
import Reports
import TestSupport
import Testing
import VitProbe

// MARK: The code of the article "From a model to a table", as it stands there.

func featureMapVariance(of subjects: [String], images: Int) throws -> Table {
  var settings = VarianceSettings()
  settings.variant = .spatial
  let job = FeatureJob(
    arguments: CommandLine.arguments,
    subjects: try subjects.map { try SubjectArgument($0) },
    data: [DataArgument(path: nil, limit: images)],
    analyses: [VarianceAnalyzer(settings)])
  let run = try job.prepare()[0].run
  let outcome = try run { done, total in print("\(done) of \(total) images") }
  return outcome.reports[0].report.tables[0]
}

@Suite struct ArticleTests {
  @Test func theCodeOfTheArticleGivesATable() throws {
    let table = try featureMapVariance(of: ["demo:vit", "demo:resnet"], images: 64)
    print(table.plainText())
    let csv = table.csv
    #expect(csv.hasPrefix("model,data,layer_index,layer_name,"))
    #expect(table.cells("model")?.first == "vit" && table.cells("model")?.last == "resnet")
    #expect(table.cells("status")?.allSatisfy { $0 == "ok" } == true)
  }

  /// Every line of Swift of the article stands in this file, in its order.
  @Test func theArticleHasTheCodeThatIsTested() throws {
    let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
    let root = parts.dropLast(3).joined(separator: "/")
    func lines(_ path: String) throws -> [String] {
      String(decoding: try #require(Scratch.read(path)), as: UTF8.self)
        .split(separator: "\n", omittingEmptySubsequences: false)
        .map { $0.drop { $0 == " " } }.filter { !$0.isEmpty }.map(String.init)
    }
    let article = try lines(root + "/Sources/VitProbe/VitProbe.docc/FromAModelToATable.md")
    var code: [String] = []
    var isCode = false
    for line in article {
      if line.hasPrefix("```") { isCode = line == "```swift" } else if isCode { code.append(line) }
    }
    #expect(code.count > 15)
    var own = try lines(#filePath)[...]
    for line in code {
      let place = own.firstIndex(of: line)
      #expect(place != nil, "not tested: \(line)")
      own = own[((place ?? own.startIndex - 1) + 1)...]
    }
  }
}
