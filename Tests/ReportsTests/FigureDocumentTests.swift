import StrictJSON
import Testing

@testable import Reports

/// What must hold for every drawing.
@Suite struct FigureDocumentTests {
  @Test(arguments: SampleFigures.all)
  func isWellFormedAndSelfContained(figure: Figure) throws {
    let scan = try XMLScanner(figure.svg)
    let root = try #require(scan.elements.first)
    #expect(root.name == "svg")
    #expect(root.attributes["role"] == "img")
    #expect(root.attributes["xmlns"] == "http://www.w3.org/2000/svg")

    let ids = scan.elements.compactMap { $0.attributes["id"] }
    #expect(Set(ids).count == ids.count)
    let prefix = try #require(root.attributes["id"])
    #expect(ids.allSatisfy { $0 == prefix || $0.hasPrefix(prefix + "-") })
    let allowed: Set<Character> = Set("abcdefghijklmnopqrstuvwxyz0123456789-")
    #expect(ids.allSatisfy { $0.allSatisfy(allowed.contains) })

    // Every reference is to an id of this document.
    var active: [String] = []
    for element in scan.elements {
      if ["script", "style", "image", "a", "use", "foreignObject"].contains(element.name) {
        active.append(element.name)
      }
      for (key, value) in element.attributes {
        if key.hasPrefix("on") || key == "href" || key == "xlink:href"
          || (key != "xmlns" && value.contains("//"))
        {
          active.append(key)
        }
        if let start = value.range("url(#") {
          #expect(ids.contains(String(value[start...].dropLast())))
        }
      }
    }
    #expect(active.isEmpty)
    let labelled = try #require(root.attributes["aria-labelledby"])
    #expect(labelled.split(separator: " ").allSatisfy { ids.contains(String($0)) })
  }

  @Test(arguments: SampleFigures.all)
  func numbersHaveFewDecimals(figure: Figure) throws {
    let scan = try XMLScanner(figure.svg)
    var wrong: [String] = []
    for element in scan.elements {
      for key in ["x", "y", "cx", "cy", "x1", "y1", "x2", "y2", "width", "height", "r"] {
        guard let text = element.attributes[key] else { continue }
        let value = try #require(Double(text))
        if !value.isFinite || text.drop(while: { $0 != "." }).count > 3 { wrong.append(text) }
      }
    }
    #expect(wrong.isEmpty)
    #expect(!figure.svg.contains("nan") && !figure.svg.contains("inf\""))
  }

  /// Words stand within the page, by the widths that the layout itself does not use.
  @Test(arguments: SampleFigures.all)
  func wordsAreOnThePage(figure: Figure) throws {
    let scan = try XMLScanner(figure.svg)
    let width = try #require(Double(scan.elements[0].attributes["width"] ?? ""))
    let height = try #require(Double(scan.elements[0].attributes["height"] ?? ""))
    for element in scan.elements where element.name == "text" {
      let x = try #require(Double(element.attributes["x"] ?? ""))
      let y = try #require(Double(element.attributes["y"] ?? ""))
      let size = try #require(Double(element.attributes["font-size"] ?? ""))
      let length = TextMetrics.width(
        element.text, size: size, bold: element.attributes["font-weight"] == "bold")
      let isTurned = element.attributes["transform"] != nil
      var (start, end) = (0.0, length)
      switch element.attributes["text-anchor"] {
      case "middle": (start, end) = (-length / 2, length / 2)
      case "end": (start, end) = (-length, 0)
      default: break
      }
      if isTurned {
        let down = element.attributes["transform"]?.hasPrefix("rotate(90 ") == true
        let (top, bottom) = down ? (y + start, y + end) : (y - end, y - start)
        #expect(top >= 0 && bottom <= height, "\(element.text)")
        #expect(x - size >= -1 && x + size <= width + 1, "\(element.text)")
      } else {
        #expect(x + start >= 0 && x + end <= width, "\(element.text)")
        #expect(y - size >= 0 && y + size * 0.25 <= height, "\(element.text)")
      }
    }
  }

  @Test func titlesOfAxesFit() throws {
    let name = String(repeating: "a_very_long_label_", count: 9)
    for (rows, columns) in [(1, 1), (2, 9), (9, 2), (20, 20)] {
      let map = HeatMap(
        Array(repeating: Array(repeating: 0.5, count: columns), count: rows),
        columnNames: (0..<columns).map { "\($0)" }, rowNames: (0..<rows).map { "\($0)" })
      let figure = Figure(
        name: "h", title: "T", subtitle: "S",
        panels: [
          .init(x: Axis("Layers of \(name)"), y: Axis("Layers of \(name)"), [.heatMap(map)])
        ], colorBar: .init("CKA", .magma))
      try wordsAreOnThePage(figure: figure)
      let words = try XMLScanner(figure.svg).elements.filter { $0.name == "text" }
      let titles = words.filter { $0.text.hasPrefix("Layers of") }
      #expect(titles.count == 2 && titles.allSatisfy { $0.text.contains("…") })
      // The one that is turned ends below the subtitle.
      let turned = try #require(titles.first { $0.attributes["transform"] != nil })
      let middle = try #require(Double(turned.attributes["y"] ?? ""))
      let header = try #require(words.first { $0.text == "S" })
      let bottom = try #require(Double(header.attributes["y"] ?? ""))
      #expect(middle - TextMetrics.width(turned.text, size: 12.5) / 2 >= bottom)
    }
  }

  @Test func manyModelsLookDifferent() {
    let families = (0..<30).map { ["vit", "resnet", "swin"][$0 % 3] }
    let styles = Style.models(families: families)
    #expect(Set(styles).count == 30)
    let looks = styles.map { "\($0.color.hex) \($0.marker?.rawValue ?? "")" }
    #expect(Set(looks).count == 30)
  }

  @Test func aSingleLineIsNamed() throws {
    func words(title: String, panel: String) throws -> [String] {
      let figure = Figure(
        name: "f", title: title,
        panels: [
          .init(
            title: panel, x: Axis("x"), y: Axis("y"),
            [.series(Series("deit", [Point(0, 1), Point(1, 2)], style: .viT))])
        ])
      return try XMLScanner(figure.svg).elements.filter { $0.name == "text" }.map(\.text)
    }
    #expect(try words(title: "Variance", panel: "").contains("deit"))
    #expect(try !words(title: "Spectra: deit", panel: "").contains("deit"))
    #expect(try words(title: "Variance", panel: "deit").filter { $0 == "deit" }.count == 1)
  }

  @Test func hostileNamesBecomeText() throws {
    let scan = try XMLScanner(SampleFigures.hostile.svg)
    let title = try #require(scan.elements.first { $0.name == "title" })
    #expect(title.text == "A & B <script>alert('x')</script> \u{FFFD}gnp.\u{FFFD}")
    #expect(scan.elements.contains { $0.name == "text" && $0.text == "]]> & \"quoted\"" })
  }

  @Test func everyPointHasATooltip() throws {
    let scan = try XMLScanner(SampleFigures.ckaCurve.svg)
    let tips = scan.elements.filter { $0.name == "title" && $0.parent == "circle" }
    #expect(tips.count == 12)
    #expect(tips[0].text == "ViT-Ti/16, blocks.0: (0, 1.001) [0.9706, 1.031]")
    let cells = try XMLScanner(SampleFigures.ckaHeatMap.svg).elements
      .filter { $0.name == "title" && $0.parent == "rect" }
    #expect(cells.count == 625 + 1)
    #expect(cells[0].text == "embed × embed: 1.000")
  }

  @Test func heatMapStartsAtTheLowerLeftAndSaysWhatItCannotShow() throws {
    let figure = Figure(
      name: "h", title: "T",
      panels: [
        .init(
          x: Axis("x"), y: Axis("y"),
          [
            .heatMap(
              HeatMap(
                [[0, 0.5], [nil, -0.25], [1.5, .nan]], columnNames: ["a", "b"],
                rowNames: ["p", "q", "r"]))
          ])
      ], colorBar: .init("CKA", .magma))
    let scan = try XMLScanner(figure.svg)
    var cells: [String: [String: String]] = [:]
    for (element, next) in zip(scan.elements, scan.elements.dropFirst())
    where element.name == "rect" && next.parent == "rect" {
      cells[next.text] = element.attributes
    }
    let first = try #require(cells["a × p: 0"])
    let right = try #require(cells["b × p: 0.5000"])
    let above = try #require(cells["b × q: −0.2500"])
    let missing = try #require(cells["a × q: undefined"])
    #expect(first["fill"] == "#000004")
    #expect(above["fill"] == "#000004")
    #expect(cells["a × r: 1.500"]?["fill"] == "#fcfdbf")
    #expect(missing["fill"] == "url(#fig-h-hatch)")
    #expect(Double(first["x"] ?? "") == Double(missing["x"] ?? ""))
    let lower = try #require(Double(first["y"] ?? ""))
    #expect(Double(right["y"] ?? "") == lower)
    #expect(try #require(Double(missing["y"] ?? "")) == lower - 36)
    #expect(first["width"] == first["height"])
    let words = scan.elements.filter { $0.name == "text" }.map(\.text)
    #expect(words.contains("1 value below 0 (least −0.25) drawn as 0"))
    #expect(words.contains("1 value above 1 (greatest 1.5) drawn as 1"))
    #expect(words.contains("Hatched: undefined (2)"))
  }

  /// Values from the whole range of Double: every drawing is sound, whatever is in it.
  @Test func extremeValuesAreDrawn() throws {
    let extremes: [Double] = [
      0, -0.0, 1, -1, 1e-300, 1e300, -1e300, .greatestFiniteMagnitude, -.greatestFiniteMagnitude,
      .leastNonzeroMagnitude, .leastNormalMagnitude, .nan, .infinity, -.infinity, 1e16, 1e16 + 2,
      0.1, 1e5, 99_999, 1e-9,
    ]
    var state: UInt64 = 7
    func pick() -> Double {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return extremes[Int(state >> 33) % extremes.count]
    }
    for round in 0..<150 {
      let scale: Axis.Scale = round % 2 == 0 ? .linear : .log
      let points = (0..<(round % 7)).map { _ in Point(pick(), pick(), low: pick(), high: pick()) }
      let (a, b) = (pick(), pick())
      let range = scale == .linear && a < b && round % 3 == 0 ? a...b : nil
      let figure = Figure(
        name: "extreme", title: "Extreme",
        panels: [
          .init(
            x: Axis("x", range: range), y: Axis("y", scale: scale, includesZero: round % 5 == 0),
            [
              .series(Series("s", points, style: .viT, interval: round % 4 == 0 ? .bars : .band)),
              .series(
                Series("t", points, style: .resNet, paint: .values(points.map { _ in pick() }))),
              .area(Area("a", points, style: .other)),
              .bars(Bars("b", edges: [0, 1, 2], heights: [pick(), pick()], style: .other)),
              .level(pick(), name: "l", dash: .dotted), .position(pick(), name: "p", dash: .solid),
              .note(x: pick(), y: pick(), text: "note"),
            ]),
          .init(
            x: Axis("x"), y: Axis("y"),
            [
              .heatMap(
                HeatMap([[pick(), pick()]], columnNames: ["a", "b"], rowNames: ["c"]))
            ]),
        ], colorBar: .init("c", .diverging, range: -1...1))
      let scan = try XMLScanner(figure.svg)
      let isValid = scan.elements.allSatisfy { element in
        ["x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "width", "height"].allSatisfy {
          element.attributes[$0].map { (Double($0) ?? .infinity).magnitude < 1e6 } ?? true
        } && !(element.attributes["d"]?.contains("  ") ?? false)
      }
      #expect(isValid, "round \(round)")
      _ = figure.vegaLite.compact
    }
  }

  @Test func figuresOfOnePageShareNoIds() throws {
    var ids: Set<String> = []
    for figure in SampleFigures.all {
      for element in try XMLScanner(figure.svg).elements {
        if let id = element.attributes["id"] { #expect(ids.insert(id).inserted) }
      }
    }
  }

  @Test func legendMovesOutsideWhenTheCornersAreTaken() {
    func figure(_ filled: Bool) -> Figure {
      let points = (0...400).map { index in
        Point(Double(index % 21) / 20, filled ? Double(index / 21) / 19 : 0.5)
      }
      return Figure(
        name: "l", title: "T",
        panels: [
          .init(
            x: .depth, y: Axis("y", range: 0...1),
            [
              .series(Series("a", points, style: .category(0))),
              .series(Series("b", [], style: .category(1))),
            ])
        ])
    }
    #expect(FigureLayout(figure(false)).legendIsInside)
    let outside = FigureLayout(figure(true))
    #expect(!outside.legendIsInside)
    #expect((outside.legendBox?.x ?? 0) > outside.frames[0].plot.right)
  }
}

extension String {
  /// The place after the first occurrence of `part`.
  fileprivate func range(_ part: String) -> String.Index? {
    var rest = self[...]
    while !rest.isEmpty {
      if rest.hasPrefix(part) { return rest.index(rest.startIndex, offsetBy: part.count) }
      rest = rest.dropFirst()
    }
    return nil
  }
}
