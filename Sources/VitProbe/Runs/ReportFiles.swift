import Checkpoints
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
  /// Grids as NumPy arrays of Float64.
  case npz
  /// Grids as ParaView's structured grids.
  case vts

  /// Whether it is for values over a grid alone.
  public var isOfGrids: Bool { [.npz, .vts].contains(self) }
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
  /// Writes tables, grids and figures, and captions beside figures without titles.
  func write(to folder: OutputFolder, as formats: ReportFormats) throws {
    let kinds = formats.kinds
    if kinds.contains(.csv) {
      for table in tables { try folder.write(table.csv, to: table.name + ".csv") }
    }
    for grid in grids {
      if kinds.contains(.vts) { try folder.write(grid.vts, to: grid.name + ".vts") }
      if kinds.contains(.npz) {
        try folder.write(grid.name + ".npz") { path in try grid.writeArchive(to: path) }
      }
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
      if !formats.setting.hasTitles, kinds.contains(where: { $0 != .csv && !$0.isOfGrids }) {
        try folder.write(figure.caption, to: figure.name + ".txt")
      }
    }
  }
}

extension ScalarGrid {
  /// Writes `x`, `y` and the fields `[y, x]` as arrays of an archive.
  func writeArchive(to path: String) throws(CheckpointError) {
    var archive = try NumpyArchiveWriter(creating: path)
    let axes = [Field("x", x), Field("y", y)].map { ($0, [$0.values.count]) }
    for (field, shape) in axes + fields.map({ ($0, [y.count, x.count]) }) {
      try archive.begin(field.name, dtype: .float64, shape: shape)
      let result = field.values.withUnsafeBytes { bytes in
        Result { () throws(CheckpointError) in try archive.append(bytes) }
      }
      try result.get()
    }
    try archive.finish()
  }
}
