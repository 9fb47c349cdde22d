import Reports
import StrictJSON
import TestSupport
import Testing

@testable import Pages

/// The page as a document: whole, bounded, the same, and inert.
@Suite struct ReportPageTests {
  private let samples = SampleRuns()

  private func page(_ runs: FinishedRun..., title: String? = nil) throws -> ReportPage {
    try ReportPage(of: runs, title: title, version: "9")
  }

  @Test func theDemoHasEveryViewAndTheSameBytes() throws {
    let run = try FinishedRun(reading: Demo.folder)
    let page = try page(run)
    #expect(page.html == (try self.page(run)).html)
    #expect(page.html.utf8.count < ReportPage.limit && page.omissions.isEmpty)
    var shown: Set = ["findings", "layers", "provenance"]
    for view in View.all where view.tables.contains(where: { run.table($0) != nil }) {
      shown.insert(view.id)
    }
    #expect(
      shown.isSuperset(of: [
        "metrics", "cka", "fourier", "variance", "attention", "hessian", "landscape", "robustness",
        "lesion",
      ]))
    for id in View.all.map(\.id) + ["findings", "layers", "provenance", "compare"] {
      let count = page.html.occurrences(of: "<section id=\"\(id)\"")
      #expect(count == (shown.contains(id) ? 1 : 0), "\(id)")
    }
    // Ten pairs of four models, a curve, and what the others draw.
    #expect(page.html.occurrences(of: "<b>CKA within ") == 4)
    #expect(page.html.occurrences(of: "<b>CKA: ") == 6)
    #expect(page.html.occurrences(of: "</svg>") == page.html.occurrences(of: "<figure data-plate="))
    // Nothing is asked for: the only addresses are names of formats.
    let addresses = page.html.ranges(of: "http").map { page.html[$0.lowerBound...].prefix(40) }
    #expect(
      addresses.allSatisfy {
        $0.hasPrefix("http-equiv") || $0.hasPrefix("http://www.w3.org/2000/svg")
          || $0.hasPrefix("https://vega.github.io/schema/vega-lite/")
      })
    #expect(!page.html.contains(" src=") && !page.html.contains("url(http"))
  }

  @Test func tablesAreInsideToTheLastByte() throws {
    let run = try FinishedRun(reading: Demo.folder)
    let html = try page(run).html
    for (name, table) in run.tables {
      let mark = "class=\"table\" data-run=\"0\" data-table=\"\(name)\">"
      let start = try #require(html.firstRange(of: mark)?.upperBound)
      let end = try #require(html[start...].firstRange(of: "</script>")?.lowerBound)
      #expect(
        try JSONValue(parsing: Array(html[start..<end].utf8)) == .string(table.source), "\(name)")
    }
  }

  @Test func thePolicyNamesTheScript() throws {
    let html = try page(try FinishedRun(reading: Demo.folder)).html
    let start = try #require(html.firstRange(of: "<script>")?.upperBound)
    let end = try #require(html[start...].firstRange(of: "</script>")?.lowerBound)
    let digest = Digest.sha256(html[start..<end].utf8)
    #expect(html.contains("script-src 'sha256-\(ReportDocument.base64(digest))'"))
    // The vectors of RFC 4648.
    for (bytes, text) in [("", ""), ("66", "Zg=="), ("666f", "Zm8="), ("666f6f", "Zm9v")] {
      #expect(ReportDocument.base64(bytes) == text)
    }
  }

  private static let hostile = [
    "</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>",
    "\"onmouseover=\"alert(1)",
    "javascript:alert(1)", "'><svg onload=alert(1)>", "<!--", "]]>", "\u{202E}gpj.exe",
    "tab\tand\u{7}bell", "a&lt;b",
  ]

  @Test(arguments: hostile)
  func namesFromFilesStayText(name: String) throws {
    let layers = ["\(name).0.attn_res", "\(name).0.mlp_res", name]
    let run = try samples.run(
      "run", labels: [name],
      [
        ("variance", SampleRuns.variance(name, layers.map { ($0, name, 1, 0.1) })),
        ("cka", SampleRuns.cka(name, layers, [[1, 0.99, 0], [0.99, 1, 0.5], [0, 0.5, 1]])),
        (
          "metrics",
          SampleRuns.csv(
            "model,n,acc,top5,nll,ece,status", [[name, "10", "0.5", "", "1", "0.2", name]])
        ),
      ], notes: [name])
    let page = try page(run, run, title: name)
    let tags = page.html.split(separator: "<").dropFirst().map { $0.prefix { $0 != ">" } }
    let names = Set(tags.map { $0.prefix { !" >\n".contains($0) } })
    let allowed: Set<Substring> = [
      "!doctype html", "!doctype", "html", "/html", "head", "/head", "meta", "title", "/title",
      "style", "/style",
      "body", "/body", "header", "/header", "div", "/div", "h1", "/h1", "h2", "/h2", "h3", "/h3",
      "h4", "/h4", "p", "/p", "nav", "/nav", "a", "/a", "main", "/main", "section", "/section",
      "ul", "/ul", "li", "/li", "b", "/b", "i", "/i", "small", "/small", "kbd", "/kbd", "details",
      "/details", "summary", "/summary", "span", "/span", "table", "/table", "thead", "/thead",
      "tbody", "/tbody", "tr", "/tr", "th", "/th", "td", "/td", "code", "/code", "figure",
      "/figure", "figcaption", "/figcaption", "svg", "/svg", "desc", "/desc", "defs", "/defs",
      "clipPath", "/clipPath", "rect", "/rect", "pattern", "/pattern", "line", "/line",
      "linearGradient", "/linearGradient", "stop", "g", "/g", "path", "/path", "circle", "/circle",
      "text", "/text", "tspan", "/tspan", "dl", "/dl", "dt", "/dt", "dd", "/dd", "pre", "/pre",
      "aside", "/aside", "script", "/script",
    ]
    // What the page's own script says with the sign is told from markup by the blank or = after it.
    let foreign = names.filter { name in
      !allowed.contains(name) && name.first.map { $0.isLetter || "/!".contains($0) } == true
    }
    #expect(foreign.isEmpty, "\(foreign)")
    let scripts = page.html.occurrences(of: "<script")
    #expect(page.html.occurrences(of: "</script") == scripts)
    #expect(page.html.occurrences(of: "<script>") == 1)
    // No element has a handler, and no link leads away.
    #expect(
      tags.allSatisfy { tag in
        tag.hasPrefix("script")
          || !tag.contains(" onmouseover=") && !tag.contains(" onload=")
            && !tag.contains(" onerror=")
      })
    #expect(page.html.occurrences(of: "href=\"") == page.html.occurrences(of: "href=\"#"))
    #expect(!page.html.unicodeScalars.contains { $0.value == 7 || $0.value == 0x202E })
  }

  @Test func whatHasNoRoomIsNamed() throws {
    let rows = (0..<60_000).map {
      [
        "m", "kde", "pos", "\($0)", "0.12345678901234567890\($0)",
        String(repeating: "9", count: 60),
      ]
    }
    let run = try samples.run(
      "run", labels: ["m"],
      [
        ("hessian_density", SampleRuns.csv("model,source,side,x,density,bandwidth", rows)),
        ("variance", SampleRuns.variance("m", [("a", "mlp", 1, 0.1), ("b", "mlp", 2, 0.1)])),
      ])
    let page = try page(run)
    #expect(page.html.utf8.count < ReportPage.limit)
    #expect(page.omissions.count == 1 && page.omissions[0].contains("hessian_density.csv"))
    #expect(page.html.contains("Left out of this page"))
    #expect(page.html.contains("data-table=\"variance\">\""))
  }

  @Test func tablesWithoutAViewAreListed() throws {
    let variance = SampleRuns.variance("m", [("a", "mlp", 1, 0.1), ("b", "mlp", 2, 0.1)])
    let run = try samples.run(
      "run", labels: ["m"],
      [("variance", variance), ("<later>", SampleRuns.csv("model,x", [["m", "1"]]))])
    let html = try page(run).html
    let start = try #require(html.firstRange(of: "<section id=\"tables\"")?.upperBound)
    let end = try #require(html[start...].firstRange(of: "</section>")?.lowerBound)
    let section = String(html[start..<end])
    #expect(section.contains("<h3>&lt;later&gt;.csv</h3>") && !section.contains("variance"))
    #expect(section.contains("data-table=\"&lt;later&gt;\""))
    #expect(html.contains("href=\"#tables\""))
    let known = try samples.run("known", labels: ["m"], [("variance", variance)])
    #expect(!(try page(known).html.contains("#tables")))
  }

  @Test func aPageKnowsItsRuns() throws {
    let table = (
      "variance", SampleRuns.variance("m", [("a", "mlp", 1, 0.1), ("b", "mlp", 2, 0.1)])
    )
    let (a, b) = (
      try samples.run("a", labels: ["m"], [table]), try samples.run("b", labels: ["m"], [table])
    )
    let identity = ReportPage.identity(of: [a], title: nil)
    #expect(ReportPage.identity(in: Array(try page(a).html.utf8)) == identity)
    #expect(identity != ReportPage.identity(of: [b], title: nil))
    #expect(identity != ReportPage.identity(of: [a, b], title: nil))
    #expect(identity != ReportPage.identity(of: [a], title: "t"))
    #expect(ReportPage.identity(in: Array("<html>".utf8)) == nil)
    #expect(ReportPage.identity(in: Array("\(ReportPage.mark)abc\">".utf8)) == nil)
  }

  @Test func changedFilesAreSaid() throws {
    let path = try samples.folder(
      "run", labels: ["m"],
      [("variance", SampleRuns.variance("m", [("a", "mlp", 1, 0.1), ("b", "mlp", 2, 0.1)]))])
    samples.scratch.write(
      SampleRuns.variance("m", [("a", "mlp", 7, 0.1), ("b", "mlp", 2, 0.1)]), as: "run/variance.csv"
    )
    let page = try page(try FinishedRun(reading: path))
    #expect(page.findings.first == "1 file is not as the run wrote it: variance.csv")
    #expect(page.html.contains("CHANGED since: now "))
  }

  @Test func damagedTablesAreRefused() throws {
    for (csv, says) in [
      ("model,layer_name\nm,a\n", "has no column"),
      (
        SampleRuns.variance("m", [("a", "mlp", 1.5, 0.1), ("b", "mlp", 2, 0.1)])
          .replacing(",1.5,", with: ",one,"),
        "found \"one\""
      ),
    ] {
      let run = try samples.run("run\(says.count)", labels: ["m"], [("variance", csv)])
      #expect { _ = try page(run) } throws: { error in
        (error as? ResultsError)?.kind == .damaged && "\(error)".contains(says)
      }
    }
    let twice = SampleRuns.cka("m", ["a", "b"], [[1, 0.5], [0.5, 1]])
    let run = try samples.run(
      "twice", labels: ["m"], [("cka", twice + twice.split(separator: "\n")[1] + "\n")])
    #expect { _ = try page(run) } throws: { "\($0)".contains("second value of one pair") }
  }
}
