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
  /// Figures as Vega-Lite with their data inside.
  case vega
}

extension Report {
  /// Writes tables and figures.
  func write(to folder: OutputFolder, as formats: Set<ReportFormat>) throws(FileError) {
    if formats.contains(.csv) {
      for table in tables { try folder.write(table.csv, to: table.name + ".csv") }
    }
    for figure in figures {
      if formats.contains(.svg) { try folder.write(figure.svg, to: figure.name + ".svg") }
      if formats.contains(.vega) {
        try folder.write(figure.vegaLite.pretty, to: figure.name + ".vl.json")
      }
    }
  }
}
