import Diagnostics
import Reports
import StrictJSON

/// A page being written.
struct ReportDocument {
  /// A figure of the page and what its script knows of it.
  private struct Plate {
    let figure: Figure
    let view: String
    /// The stem of files that it is saved as.
    let file: String
  }

  private let runs: [RunResults]
  private let layers: LayerIndex
  private let title: String
  private let version: String
  private let identity: String
  private var plates: [Plate] = []
  private var page = HTML()
  private(set) var omissions: [String] = []
  let findings: [Finding]
  /// Findings of each run, in the order of runs.
  private let findingsByRun: [[Finding]]

  /// Bytes that figures may take, so that there is room for the rest.
  private static let figureLimit = 3_200_000

  init(
    _ runs: [RunResults], title: String?, version: String, identity: String
  ) throws(ResultsError) {
    self.runs = runs
    let layers = try LayerIndex(runs)
    self.layers = layers
    self.title = title ?? "vitprobe: " + runs.map(\.title).joined(separator: ", ")
    self.version = version
    self.identity = identity
    findingsByRun = try runs.map { run throws(ResultsError) in
      try Findings(run: run, layers: layers).all
    }
    findings =
      findingsByRun.joined().filter { $0.weight == .warning }
      + findingsByRun.joined().filter { $0.weight == .result }
  }

  mutating func html() throws(ResultsError) -> String {
    let (script, style) = (
      Self.text(PackageResources.report_js), Self.text(PackageResources.report_css)
    )
    head(script, style)
    writeFindings()
    try LayerSpine(runs: runs, layers: layers).write(into: &page)
    if runs.count == 2 { try compare() }
    for view in View.all { try write(view) }
    writeOtherTables()
    page.markup("<section id=\"provenance\"><h2>Provenance</h2>\n")
    for run in runs {
      let absent = View.all.filter { view in !view.tables.contains { run.table($0) != nil } }
      Provenance(run: run, absent: absent).write(into: &page)
    }
    let place = page.source.utf8.count
    let before = page.source
    let tail = data(room: ReportPage.limit - place - script.utf8.count - 20_000)
    page = HTML()
    page.markup(before)
    if !omissions.isEmpty {
      page.element("h3", "Left out of this page")
      page.markup("<ul>")
      for omission in omissions { page.element("li", omission) }
      page.markup("</ul>\n")
    }
    page.markup("</section>\n</main>\n")
    page.markup(
      "<aside id=\"chosen\" hidden></aside><div id=\"tip\" role=\"tooltip\" hidden></div>\n")
    page.markup(tail)
    page.markup("<script>\(script)</script>\n</body>\n</html>\n")
    return page.source
  }

  // MARK: Parts

  private mutating func head(_ script: String, _ style: String) {
    let policy =
      "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
      + "script-src 'sha256-\(Self.base64(Digest.sha256(script.utf8)))'"
    page.markup("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
    page.markup("\(ReportPage.mark)\(identity)\">\n")
    page.markup("<meta http-equiv=\"Content-Security-Policy\" content=\"\(policy)\">\n")
    page.markup("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n")
    page.markup("<meta name=\"generator\" content=\"vitprobe \(version.markup)\">\n")
    page.element("title", title)
    page.markup("\n<style>\n\(style)</style>\n</head>\n<body>\n<header><div class=\"wide\">")
    page.element("h1", title)
    for run in runs {
      let models = run.models.map(\.label).joined(separator: ", ")
      let images = run.run.manifest["n_images"]?.compact ?? "?"
      page.element(
        "p",
        "\(runs.count > 1 ? run.title + ": " : "")\(models) · \(images) images · settings "
          + "\((run.run.manifest["run"]?["settings_sha256"]?.stringValue ?? run.run.digest).prefix(12))"
          + " · vitprobe \(run.run.manifest["version"]?.stringValue ?? "?")", "class=\"facts\"")
    }
    page.markup("</div></header>\n<nav><div class=\"wide\">")
    var entries = [("findings", "Findings")]
    if !layers.layers.isEmpty { entries.append(("layers", "Layers")) }
    if runs.count == 2 { entries.append(("compare", "Comparison")) }
    entries += View.all.filter { view in runs.contains { has($0, view) } }.map { ($0.id, $0.title) }
    if runs.contains(where: { !others($0).isEmpty }) { entries.append(("tables", "Other tables")) }
    entries.append(("provenance", "Provenance"))
    for (id, title) in entries { page.element("a", title, "href=\"#\(id)\"") }
    page.markup("</div></nav>\n<main class=\"wide\">\n")
  }

  private func has(_ run: RunResults, _ view: View) -> Bool {
    view.tables.contains { run.table($0) != nil }
  }

  private mutating func writeFindings() {
    page.markup("<section id=\"findings\"><h2>Findings</h2>\n")
    if findings.isEmpty {
      page.element("p", "No rule has anything to say of these tables.", "class=\"lead\"")
    }
    for (run, own) in zip(runs, findingsByRun) where !own.isEmpty {
      if runs.count > 1 { page.element("h3", run.title) }
      page.markup("<ul class=\"findings\">\n")
      for finding in own {
        page.markup("<li class=\"\(finding.weight.rawValue)\"><a href=\"#\(finding.view)\"")
        page.markup(finding.key.map { " data-choose=\"\($0)\"" } ?? "")
        page.markup(">")
        if finding.weight == .warning { page.markup("<b>Warning.</b> ") }
        page.markup(finding.text.markup)
        page.markup("</a>")
        page.element("small", "Rule: \(finding.rule)")
        page.markup("</li>\n")
      }
      page.markup("</ul>\n")
    }
    page.markup("</section>\n")
  }

  private mutating func compare() throws(ResultsError) {
    let comparison = Comparison(first: runs[0], second: runs[1], layers: layers)
    page.markup("<section id=\"compare\">")
    let figures = try comparison.maps
    try comparison.write(into: &page)
    add(figures, to: "compare")
    try comparison.writeDeltas(into: &page)
    page.markup("</section>\n")
  }

  private mutating func write(_ view: View) throws(ResultsError) {
    let own = runs.filter { has($0, view) }
    guard !own.isEmpty else { return }
    page.markup("<section id=\"\(view.id)\">")
    page.element("h2", view.title)
    page.element("p", view.explanation, "class=\"lead\"")
    page.markup("\n")
    for run in own {
      if runs.count > 1 { page.element("h3", run.title) }
      add(try view.figures(run.source(view.id, layers)), to: view.id)
      for name in view.tables {
        guard let table = run.table(name) else { continue }
        let isShort = table.rows.count <= 12
        if isShort { rows(table) }
        place(of: name, run)
      }
    }
    page.markup("</section>\n")
  }

  /// Tables that no view shows.
  private func others(_ run: RunResults) -> [String] {
    let known = Set(View.all.flatMap(\.tables))
    return run.run.tables.map(\.name).filter { !known.contains($0) }
  }

  private mutating func writeOtherTables() {
    guard runs.contains(where: { !others($0).isEmpty }) else { return }
    page.markup("<section id=\"tables\"><h2>Other tables</h2>")
    page.element(
      "p", "Tables that no view of this page shows: their rows, to be looked through and saved.",
      "class=\"lead\"")
    page.markup("\n")
    for run in runs {
      for name in others(run) {
        page.element("h3", (runs.count > 1 ? run.title + ": " : "") + name + ".csv")
        place(of: name, run)
      }
    }
    page.markup("</section>\n")
  }

  /// Where the script lists the rows of a table.
  private mutating func place(of table: String, _ run: RunResults) {
    page.markup(
      "<div class=\"rows\" data-run=\"\(run.number)\" data-table=\"\(table.markup)\"></div>\n")
  }

  /// A table of few rows as it is.
  private mutating func rows(_ table: CSVTable) {
    page.table(table.columns)
    for row in table.rows {
      page.row(
        row.map { field in
          if field.isEmpty { return .number(nil) }
          if Int(field) != nil { return .count(field) }
          if let value = Double(field), value.isFinite, field.contains(where: \.isNumber) {
            return .number(value)
          }
          return .text(field)
        })
    }
    page.endTable()
  }

  private mutating func add(_ figures: [Figure], to view: String) {
    guard !figures.isEmpty else { return }
    page.markup("<div class=\"plates\">\n")
    for figure in figures {
      let number = plates.count
      var drawn = figure
      // Ids in the drawing begin with its name: a number is unlike all others, a label need not be.
      drawn.name = "plate-\(number)"
      drawn.setting = FigureSetting(hasTitles: false)
      let svg = drawn.svg
      let used = page.source.utf8.count
      guard used + svg.utf8.count <= Self.figureLimit else {
        omissions.append(
          "The figure “\(figure.title)” (\(svg.utf8.count) bytes): see the folder, or make a report of "
            + "fewer models.")
        page.element("p", "Left out for its size: \(figure.title)", "class=\"note\"")
        continue
      }
      page.markup("<figure data-plate=\"\(number)\"><figcaption>")
      page.element("b", figure.title)
      page.element("span", figure.subtitle)
      page.markup("</figcaption><div class=\"drawing\">\(svg)</div></figure>\n")
      plates.append(Plate(figure: figure, view: view, file: Self.file(figure.name)))
    }
    page.markup("</div>\n")
  }

  // MARK: Data for the script

  /// Layers, figures and tables, as many as there is room for: what is left out is said.
  private mutating func data(room: Int) -> String {
    var room = room
    var blocks: [String] = []
    func block(_ id: String, _ text: String) -> String {
      "<script type=\"application/json\" \(id)>\(Self.inert(text))</script>\n"
    }
    let known: JSONValue = [
      "layers": .array(
        layers.layers.map {
          [
            "run": .integer($0.run), "model": .string($0.model), "site": .string($0.site),
            "block": .string($0.block), "name": .string($0.name),
          ]
        }),
      "measures": .array(LayerMeasure.all.map(\.json)),
      "runs": .array(
        runs.map { ["title": .string($0.title), "digest": .string($0.run.digest)] }),
      "plates": .array(
        plates.map {
          [
            "view": .string($0.view), "file": .string($0.file),
            "title": .string($0.figure.title.displayable),
          ]
        }),
    ]
    let first = block("id=\"known\"", known.compact)
    blocks.append(first)
    room -= first.utf8.count
    func add(_ id: String, _ text: String, _ what: String) {
      let next = block(id, text)
      guard next.utf8.count <= room else {
        omissions.append("\(what) (\(next.utf8.count) bytes): it stands in the folder alone.")
        return
      }
      room -= next.utf8.count
      blocks.append(next)
    }
    // The longest last: what is wanted most is short.
    let tables = runs.flatMap { run in run.run.tables.map { (run, $0.name, $0.table) } }
      .map { ($0, $1, $2.source) }
      .enumerated().sorted {
        let (a, b) = ($0.element.2.utf8.count, $1.element.2.utf8.count)
        return a != b ? a < b : $0.offset < $1.offset
      }.map(\.element)
    for (run, name, source) in tables {
      add(
        "class=\"table\" data-run=\"\(run.number)\" data-table=\"\(name.markup)\"",
        JSONValue.string(source).compact, "The rows of \(name).csv of \(run.title)")
    }
    for (number, plate) in plates.enumerated() {
      add(
        "class=\"vega\" data-plate=\"\(number)\"", plate.figure.vegaLite.compact,
        "The Vega-Lite of “\(plate.figure.title)”")
    }
    add(
      "id=\"manifests\"", JSONValue.array(runs.map(\.run.manifest)).compact, "The manifests")
    return blocks.joined()
  }

  /// JSON on one line that no parser of HTML takes for anything else, and that looks as what it is.
  private static func inert(_ json: String) -> String {
    var text = ""
    for scalar in json.unicodeScalars {
      guard "<>&".unicodeScalars.contains(scalar) || scalar.isUnsafeForDisplay else {
        text.unicodeScalars.append(scalar)
        continue
      }
      for unit in String(scalar).utf16 {
        let digits = String(unit, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      }
    }
    return text
  }

  private static func file(_ name: String) -> String {
    let letters = name.prefix(80).map { character in
      character.isASCII && (character.isLetter || character.isNumber || character == "-")
        ? character : "_"
    }
    return String(letters)
  }

  private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

  /// Base64 of bytes that stand as hexadecimal.
  static func base64(_ hex: String) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    let bits = hex.flatMap { digit -> [Int] in
      let value = digit.hexDigitValue ?? 0
      return (0..<4).map { value >> (3 - $0) & 1 }
    }
    var text = ""
    for start in stride(from: 0, to: bits.count, by: 6) {
      let group = (start..<start + 6).map { $0 < bits.count ? bits[$0] : 0 }
      text.append(alphabet[group.reduce(0) { $0 << 1 | $1 }])
    }
    while text.count % 4 != 0 { text += "=" }
    return text
  }
}
