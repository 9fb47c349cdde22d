import Diagnostics
import DurableFiles
import Reports
import StrictJSON

/// The files that a report becomes.
public enum ReportFormat: String, Sendable, CaseIterable {
  /// Tables as tidy CSV.
  case csv
  /// Figures as SVG.
  case svg
  /// Figures as PDF, by libraries that are loaded for it.
  case pdf
  /// Figures as PNG of 300 pixels an inch, by the same libraries.
  case png
  /// Figures as Vega-Lite with their data inside.
  case vega
}

/// Which files reports become, and how their figures are set.
public struct ReportFormats: Sendable, ExpressibleByArrayLiteral {
  /// The kinds of files.
  public var kinds: Set<ReportFormat>
  /// How figures are set.
  public var setting = FigureSetting()

  /// Files of these kinds.
  public init(_ kinds: Set<ReportFormat>, setting: FigureSetting = FigureSetting()) {
    self.kinds = kinds
    self.setting = setting
  }

  /// Files of these kinds, with figures as for a screen.
  public init(arrayLiteral kinds: ReportFormat...) { self.init(Set(kinds)) }

  /// What draws PDF and PNG; nil if neither is wanted.
  ///
  /// - Throws: `FigurePrinter.Failure` if libraries or fonts are missing.
  public func printer() throws(FigurePrinter.Failure) -> FigurePrinter? {
    kinds.contains(.pdf) || kinds.contains(.png) ? try FigurePrinter(for: setting) : nil
  }
}

extension Report {
  /// Writes tables and figures, and captions beside figures without titles.
  func write(to folder: OutputFolder, as formats: ReportFormats) throws {
    let kinds = formats.kinds
    if kinds.contains(.csv) {
      for table in tables { try folder.write(table.csv, to: table.name + ".csv") }
    }
    let printer = try formats.printer()
    for var figure in figures {
      figure.setting = formats.setting
      if kinds.contains(.svg) { try folder.write(figure.svg, to: figure.name + ".svg") }
      if kinds.contains(.vega) {
        try folder.write(figure.vegaLite.pretty, to: figure.name + ".vl.json")
      }
      if let printer, kinds.contains(.pdf) {
        try folder.write(printer.pdf(figure), to: figure.name + ".pdf")
      }
      if let printer, kinds.contains(.png) {
        try folder.write(printer.png(figure), to: figure.name + ".png")
      }
      if !formats.setting.hasTitles, kinds != [.csv] {
        try folder.write(figure.caption, to: figure.name + ".txt")
      }
    }
  }
}
