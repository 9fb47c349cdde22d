import ArgumentParser
import Reports

/// How figures are set.
struct FigureOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Width of figures: single (3.25 in), double (6.75 in) or inches; letters keep their size (default: by content).",
      valueName: "WIDTH"))
  var figureWidth: String?

  @Flag(help: "Leave out titles and subtitles of figures; a caption is written beside, as .txt.")
  var noTitles = false

  @Option(
    help: ArgumentHelp(
      "Font family of figures (default: Helvetica or its like).", valueName: "NAME"))
  var font: String?

  @Option(
    help: ArgumentHelp(
      "Limits of the colours of heat maps: auto (least and greatest value) or two numbers (default: 0,1).",
      valueName: "auto|A,B"))
  var scale: String?

  func validate() throws { _ = try setting }

  var setting: FigureSetting {
    get throws {
      if let font { try check(font) }
      return FigureSetting(
        width: try width, hasTitles: !noTitles, font: font, heatScale: try heatScale)
    }
  }

  /// What was asked for and bears on none of the figures.
  func remarks(on figures: [Figure]) -> [String] {
    let hasHeatMap = figures.flatMap(\.panels).flatMap(\.marks).contains {
      if case .heatMap = $0 { true } else { false }
    }
    return scale == nil || hasHeatMap
      ? [] : ["--scale is of heat maps; none of the figures has one"]
  }

  private var width: Double? {
    get throws {
      switch figureWidth {
      case nil: return nil
      case "single"?: return FigureSetting.singleColumn
      case "double"?: return FigureSetting.doubleColumn
      case let text?:
        guard let inches = Double(text), (2...40).contains(inches) else {
          throw ValidationError(
            "--figure-width \"\(text)\": expected single, double, or 2 to 40 inches")
        }
        return inches
      }
    }
  }

  private var heatScale: FigureSetting.HeatScale? {
    get throws {
      guard let scale else { return nil }
      if scale == "auto" { return .fitted }
      let parts = scale.split(separator: ",", omittingEmptySubsequences: false)
        .map { Double($0.filter { $0 != " " }) }
      guard parts.count == 2, let low = parts[0], let high = parts[1], low < high,
        (high - low).isFinite
      else {
        throw ValidationError(
          "--scale \"\(scale)\": expected auto, or two numbers of which the first is less, as in 0,1"
        )
      }
      return .fixed(low...high)
    }
  }

  /// A family's name stands between quotes in the drawing.
  private func check(_ font: String) throws {
    let isPlain = font.unicodeScalars.allSatisfy {
      $0.properties.isAlphabetic || $0.properties.numericType != nil
        || " -_.&+".unicodeScalars.contains($0)
    }
    guard isPlain, font.contains(where: { $0 != " " }), font.count <= 100 else {
      throw ValidationError(
        "--font \"\(font)\": expected the name of one family, of letters, digits and spaces")
    }
  }
}
