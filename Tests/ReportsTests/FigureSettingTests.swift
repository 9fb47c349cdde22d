import Glibc
import StrictJSON
import Testing

@testable import Reports

/// The same figure on a screen, in a column and across a page.
@Suite struct FigureSettingTests {
  static let settings = [
    FigureSetting(), FigureSetting(width: FigureSetting.singleColumn),
    FigureSetting(width: FigureSetting.doubleColumn, hasTitles: false),
  ]

  /// A rectangle that a line of words fills at most.
  private struct Box {
    let text: String
    let left, right, top, bottom: Double

    init(_ element: XMLScanner.Element) throws {
      func number(_ key: String) throws -> Double {
        try #require(Double(element.attributes[key] ?? ""))
      }
      let (x, y, size) = (try number("x"), try number("y"), try number("font-size"))
      text = element.text
      let length = TextMetrics.width(
        element.text, size: size, bold: element.attributes["font-weight"] == "bold")
      let start =
        switch element.attributes["text-anchor"] {
        case "middle": -length / 2
        case "end": -length
        default: 0.0
        }
      // Ascenders and descenders of common fonts.
      let (up, down) = (size * 0.74, size * 0.22)
      switch element.attributes["transform"]?.prefix(9) {
      case nil: (left, right, top, bottom) = (x + start, x + start + length, y - up, y + down)
      case "rotate(90"?:
        (left, right, top, bottom) = (x - down, x + up, y + start, y + start + length)
      default:
        (left, right, top, bottom) = (x - up, x + down, y - start - length, y - start)
      }
    }

    func meets(_ other: Box) -> Bool {
      left < other.right - 0.5 && other.left < right - 0.5 && top < other.bottom - 0.5
        && other.top < bottom - 0.5
    }
  }

  private func words(_ figure: Figure) throws -> [Box] {
    try XMLScanner(figure.svg).elements.filter { $0.name == "text" && !$0.text.isEmpty }
      .map(Box.init)
  }

  /// By the widths of the widest of the fonts that viewers fall back to.
  @Test(arguments: SampleFigures.all, settings)
  func wordsStandApartOnThePage(figure: Figure, setting: FigureSetting) throws {
    var figure = figure
    figure.setting = setting
    let page = figure.pageSize
    let boxes = try words(figure)
    for (index, box) in boxes.enumerated() {
      #expect(box.left >= 0 && box.right <= page.width + 0.5, "\(box.text)")
      #expect(box.top >= 0 && box.bottom <= page.height + 0.5, "\(box.text)")
      for other in boxes[..<index] {
        #expect(!box.meets(other), "\(box.text) on \(other.text)")
      }
    }
  }

  @Test(arguments: [FigureSetting.singleColumn, FigureSetting.doubleColumn, 5])
  func aWidthIsKeptAndLettersAreOfPrintSize(width: Double) throws {
    for figure in SampleFigures.all where figure.name != "heat_maps" {
      var figure = figure
      figure.setting.width = width
      #expect((figure.pageSize.width - width * 96).magnitude < 1, "\(figure.name)")
      let sizes = try XMLScanner(figure.svg).elements.filter {
        $0.name == "text" || $0.name == "tspan"
      }
      .compactMap { Double($0.attributes["font-size"] ?? "") }
      // A point is 4/3 of a pixel.
      #expect(sizes.allSatisfy { (6.5...9).contains($0 * 0.75) }, "\(figure.name)")
    }
  }

  @Test func manyPanelsWrapIntoRows() {
    func columns(_ width: Double?) -> Int {
      var figure = SampleFigures.grid
      figure.setting.width = width
      return FigureLayout(figure).columns
    }
    #expect(columns(nil) == 3)
    #expect(columns(FigureSetting.singleColumn) == 2)
    let rows = [1: 1, 2: 2, 4: 4, 5: 3, 6: 3, 7: 4, 8: 4, 9: 3, 10: 4, 11: 4]
    for (count, expected) in rows {
      #expect(Figure.balancedColumns(count, atMost: 4) == expected, "\(count)")
    }
    #expect(Figure.balancedColumns(3, atMost: 2) == 1)
  }

  @Test func noPanelStandsAloneInItsRow() {
    for columns in 3...6 {
      for count in columns...40 {
        let rows = Dictionary(grouping: Figure.places(of: count, columns: columns), by: \.row)
        #expect(rows.values.allSatisfy { $0.count > 1 && $0.count <= columns }, "\(count)")
        #expect(rows.values.map(\.count).reduce(0, +) == count)
      }
    }
    let thirteen = Figure.places(of: 13, columns: 4)
    #expect(thirteen.map(\.row) == [0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3])
    #expect(thirteen.map(\.column) == [0, 1, 2, 3, 0, 1, 2, 0, 1, 2, 0, 1, 2])
  }

  /// Vega-Lite takes the scale of the first panel for all: each must have every model.
  @Test func panelsOfVegaLiteHaveOneScaleOfColours() throws {
    let styles = Style.models(families: ["vit", "resnet", "swin"])
    let panels = styles.enumerated().map { index, style in
      Figure.Panel(
        title: "\(index)", x: .depth, y: Axis("y"),
        [.series(Series("m\(index)", [Point(0, 1), Point(1, 2)], style: style))])
    }
    let document = Figure(name: "f", title: "T", panels: panels).vegaLite
    var scales: [JSONValue] = []
    for panel in document["concat"]?.arrayValue ?? [] {
      for layer in panel["layer"]?.arrayValue ?? [] {
        for mark in layer["layer"]?.arrayValue ?? [layer] {
          if let scale = mark["encoding"]?["color"]?["scale"] { scales.append(scale) }
        }
      }
    }
    #expect(scales.count >= 6)
    #expect(scales.allSatisfy { $0 == scales[0] })
    #expect(scales[0]["domain"]?.arrayValue?.count == 3)
    #expect(scales[0]["range"]?.arrayValue == styles.map { .string($0.color.hex) })
  }

  @Test func aFigureWithoutTitlesHasThemInItsCaption() throws {
    var figure = SampleFigures.ckaHeatMap
    figure.summary = "Every layer with every layer."
    let before = figure.pageSize.height
    figure.setting.hasTitles = false
    let texts = try XMLScanner(figure.svg).elements.filter { $0.name == "text" }.map(\.text)
    #expect(!texts.contains(figure.title) && !texts.contains(figure.subtitle))
    #expect(figure.pageSize.height < before)
    #expect(
      figure.caption
        == "\(figure.title). \(figure.subtitle). Every layer with every layer.\n")
    #expect(figure.vegaLite["title"] == "")
  }

  @Test func aFontStandsBeforeTheOthers() throws {
    var figure = SampleFigures.histogram
    figure.setting.font = "Source Sans 3"
    let families = try XMLScanner(figure.svg).elements.first?.attributes["font-family"]
    #expect(families?.hasPrefix("'Source Sans 3', Helvetica, Arial") == true)
    figure.setting.font = "serif"
    #expect(try XMLScanner(figure.svg).elements.first?.attributes["font-family"] == "serif")
  }

  @Test func heatMapsCanSpanTheirValues() throws {
    let map = HeatMap(
      [[0.99, 0.995], [0.992, 1]], columnNames: ["a", "b"], rowNames: ["c", "d"])
    var figure = Figure(
      name: "h", title: "T", panels: [.init(x: Axis("x"), y: Axis("y"), [.heatMap(map)])],
      colorBar: .init("CKA", .magma))
    func fill(_ value: String) throws -> String? {
      let elements = try XMLScanner(figure.svg).elements
      let place = elements.firstIndex { $0.name == "title" && $0.text.hasSuffix(": \(value)") }
      return place.flatMap { elements[$0 - 1].attributes["fill"] }
    }
    #expect(try fill("0.9900") != "#000004")
    figure.setting.heatScale = .fitted
    #expect(try fill("0.9900") == "#000004")
    #expect(try fill("1.000") == "#fcfdbf")
    figure.setting.heatScale = .fixed(0.992...2)
    #expect(try fill("0.9900") == "#000004")
    #expect(figure.caption.contains("1 value below 0.992 (least 0.99) drawn as 0.992"))
    // Equal values have a scale too.
    figure.panels[0].marks = [.heatMap(HeatMap([[1]], columnNames: ["a"], rowNames: ["b"]))]
    figure.setting.heatScale = .fitted
    #expect(figure.shownColorBar?.range.contains(1) == true)
  }

  @Test func stagesShowOnAnyColourAndAreNotCut() throws {
    func figure(_ layers: Int) -> Figure {
      let stages = [0, layers / 4, layers / 2].enumerated().map {
        HeatMap.Stage(start: $1, "stage \($0 + 1)")
      }
      let names = (0..<layers).map { "\($0)" }
      let values = Array(repeating: Array(repeating: Double?.some(1), count: layers), count: layers)
      return Figure(
        name: "h", title: "T",
        panels: [
          .init(
            x: Axis("x"), y: Axis("y"),
            [
              .heatMap(
                HeatMap(
                  values, columnNames: names, rowNames: names, columnStages: stages,
                  rowStages: stages))
            ])
        ], colorBar: .init("CKA", .magma))
    }
    var narrow = figure(8)
    narrow.setting.width = 2
    for figure in [figure(150), narrow] {
      let elements = try XMLScanner(figure.svg).elements
      let texts = elements.filter { $0.name == "text" }.map(\.text)
      #expect(!texts.contains { $0.contains("…") })
      #expect(texts.contains("stage 2") || (texts.contains("stage") && texts.contains("2")))
      for (below, above) in zip(elements, elements.dropFirst())
      where above.attributes["stroke"] == "#ffffff" && above.name == "line" {
        #expect(below.attributes["stroke"] == Color.ink.hex)
        #expect(below.attributes["x1"] == above.attributes["x1"])
      }
      #expect(elements.count { $0.name == "line" && $0.attributes["stroke"] == "#ffffff" } == 4)
    }
  }

  @Test func shadesOfManyBlocksAreARule() throws {
    func heights(_ blocks: Int) throws -> Set<String> {
      let shades = SampleFigures.shades(
        2 * blocks + 1, attention: Array(stride(from: 1, through: 2 * blocks, by: 2)))
      let figure = Figure(
        name: "s", title: "T", panels: [.init(x: .depth, y: Axis("y", range: 0...1), shades)])
      let elements = try XMLScanner(figure.svg).elements
      let rects = zip(elements, elements.dropFirst()).filter {
        $0.name == "rect" && $1.text == "MSA" && $1.name == "title"
      }
      #expect(rects.count == blocks)
      return Set(rects.compactMap { $0.0.attributes["height"] })
    }
    #expect(try heights(12) == ["300"])
    #expect(try heights(24) == ["5"])
  }

  @Test func frequenciesAreLabelledWithWhatTheyAre() {
    func labels(_ axis: Axis) -> [String]? { axis.ticks?.map(\.label) }
    #expect(labels(.frequency) == ["0", "π/2", "π"])
    #expect(labels(.stretchedFrequency(end: 0.75)) == ["0", "0.375π", "0.75π"])
    #expect(labels(.stretchedFrequency(end: 1)) == ["0", "π/2", "π"])
    let mixed = Axis.stretchedFrequency(end: nil)
    #expect(labels(mixed) == ["0", "1/2", "1"])
    #expect(mixed.title == "Frequency / highest of the map")
  }
}

/// Figures as PDF and PNG, where the libraries are there; a refusal that names the package elsewhere.
@Suite struct FigurePrinterTests {
  @Test func printsTheSameBytesTwice() throws {
    let printer: FigurePrinter
    do { printer = try FigurePrinter(for: FigureSetting()) } catch {
      #expect("\(error)".contains("apt-get install"))
      return
    }
    var figure = SampleFigures.ckaCurve
    figure.setting.width = 3.25
    let pdf = try printer.pdf(figure)
    #expect(pdf.starts(with: Array("%PDF-".utf8)))
    #expect(try printer.pdf(figure) == pdf)
    let text = String(decoding: pdf, as: UTF8.self)
    #expect(text.contains("/CreationDate (20000101") || text.contains("/CreationDate (D:20000101"))
    // 3.25 inches are 234 points.
    #expect(text.contains("[ 0 0 234 ") || text.contains("[0 0 234 "))
    let png = try printer.png(figure)
    #expect(png.starts(with: [0x89, 0x50, 0x4E, 0x47]))
    #expect(try printer.png(figure) == png)
    // The header chunk: 3.25 inches of 300 pixels.
    let width = png[16..<20].reduce(0) { $0 << 8 | Int($1) }
    #expect(width == 975)
  }

  @Test func refusesAFontThatIsNotThere() {
    let setting = FigureSetting(font: "No Such Family 7")
    do {
      _ = try FigurePrinter(for: setting)
      Issue.record("a font that is not there was taken")
    } catch {
      let words = "\(error)"
      #expect(words.contains("No Such Family 7") || words.contains("apt-get install"))
    }
  }
}

/// Colours for readers without green cones, and on white.
@Suite struct ColorDistanceTests {
  private func linear(_ color: Color, opacity: Double) -> [Double] {
    [color.red, color.green, color.blue].map { part in
      let value = (Double(part) * opacity + 255 * (1 - opacity)) / 255
      return value <= 0.04045 ? value / 12.92 : pow((value + 0.055) / 1.055, 2.4)
    }
  }

  /// Machado, Oliveira and Fernandes (2009), severity 1, on linear sRGB.
  private func withoutGreenCones(_ rgb: [Double]) -> [Double] {
    let rows: [[Double]] = [
      [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
      [-0.011820, 0.042940, 0.968881],
    ]
    return rows.map { row in min(max(zip(row, rgb).reduce(0) { $0 + $1.0 * $1.1 }, 0), 1) }
  }

  private func lab(_ rgb: [Double]) -> [Double] {
    let rows: [[Double]] = [
      [0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505],
    ]
    let f = zip(rows, [0.9505, 1, 1.089]).map { row, white in
      let value = zip(row, rgb).reduce(0) { $0 + $1.0 * $1.1 } / white
      return value > 0.008856 ? cbrt(value) : 7.787 * value + 16.0 / 116
    }
    return [116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])]
  }

  private func least(opacity: Double, seen: ([Double]) -> [Double]) -> Double {
    let places = Color.distinct.map { lab(seen(linear($0, opacity: opacity))) }
    var least = Double.infinity
    for (index, a) in places.enumerated() {
      for b in places[..<index] {
        least = min(least, zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot())
      }
    }
    return least
  }

  @Test func linesAndFillsDiffer() {
    #expect(least(opacity: 1) { $0 } > 35)
    #expect(least(opacity: 1, seen: withoutGreenCones) > 28)
    let opacity = FigureDrawing.areaOpacity
    #expect(least(opacity: opacity) { $0 } > 14)
    #expect(least(opacity: opacity, seen: withoutGreenCones) > 11)
  }

  @Test func theLastLayerShowsOnWhite() {
    func contrast(_ color: Color) -> Double {
      let rgb = linear(color, opacity: 1)
      return 1.05 / (0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2] + 0.05)
    }
    #expect(contrast(ColorMap.plasma.color(at: 1)) < 1.3)
    #expect(contrast(ColorMap.ember.color(at: 1)) > 1.9)
  }
}
