import TestSupport
import Testing

/// `vitprobe report`, on the tables of the demo and on folders that are no results.
@Suite struct ReportCommandTests {
  private let scratch = Scratch()
  private static let root =
    #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
    .joined(separator: "/")
  private static let demo = root + "/notebooks-data/demo"

  private func report(_ arguments: String...) throws -> Program.Result {
    try Program.run(["report"] + arguments, in: scratch.path)
  }

  private func text(_ name: String) -> String {
    String(decoding: Scratch.read(scratch.file(name)) ?? [], as: UTF8.self)
  }

  @Test func theDemoIsOnePage() throws {
    let result = try report(Self.demo)
    #expect(result.code == 0 && result.errors.isEmpty, "\(result.errors)")
    #expect(
      result.output.contains("Accuracy 93.6\u{A0}% (resnet), the lowest 89.3\u{A0}% (refiner)\n"))
    let page = text("report.html")
    #expect(result.output.hasSuffix("\(page.utf8.count) bytes in report.html\n"))
    #expect(page.hasPrefix("<!doctype html>") && page.hasSuffix("</html>\n"))
    #expect(page.contains("<title>vitprobe: demo</title>"))
    #expect(scratch.names() == ["report.html"])
    try FilledFolder.expectFilesToBeDocumented(Self.demo, of: "demo")
    try FilledFolder.expectFilesToBeDocumented(scratch.path, of: "report")
    let stream = try report(Self.demo, "-o", "-")
    #expect(stream.output == page)

    let again = try report(Self.demo, "--title", "Four <networks>", "-o", "titled.html", "-q")
    #expect(again.code == 0 && text("titled.html").contains("<h1>Four &lt;networks&gt;</h1>"))
  }

  @Test func whatIsReplacedIsSaidOrRefused() throws {
    let other = scratch.folder("other")
    for name in ["run.json", "variance.csv"] {
      scratch.write(Scratch.read("\(Self.demo)/\(name)") ?? [], as: "other/\(name)")
    }
    #expect(try report(Self.demo).code == 0)
    let same = try report(Self.demo)
    #expect(same.code == 0 && same.errors.contains("replacing the report of the same runs"))
    let before = text("report.html")
    let both = try report(Self.demo, other)
    #expect(both.code == 73 && both.errors.contains("--replace"))
    #expect(text("report.html") == before)
    #expect(try report(Self.demo, other, "--replace").code == 0)
    #expect(text("report.html").contains("<section id=\"compare\">"))
    scratch.write("mine", as: "notes.html")
    let foreign = try report(Self.demo, "-o", "notes.html", "--replace")
    #expect(
      foreign.code == 73 && foreign.errors.contains("--force") && text("notes.html") == "mine")
    #expect(try report(Self.demo, "-o", "notes.html", "--force").code == 0)
  }

  @Test func whatIsNoRunHasItsCode() throws {
    _ = scratch.folder("empty")
    scratch.write("x", as: "file")
    for (arguments, code, text) in [
      (["none"], Int32(66), "none: there is no such folder"), (["empty"], 66, "holds no run.json"),
      (["file"], 65, "is not a folder"), ([], 64, "dir"),
      ([Self.demo, Self.demo], 64, "given twice"),
      ([Self.demo, "-o", "none/report.html"], 73, "none/report.html"),
      ([Self.demo, "-o", "empty"], 73, "is a folder"),
    ] {
      let result = try Program.run(["report"] + arguments, in: scratch.path)
      #expect(result.code == code && result.errors.contains(text), "\(arguments) \(result.errors)")
    }
    #expect(scratch.names() == ["empty", "file"])
  }
}
