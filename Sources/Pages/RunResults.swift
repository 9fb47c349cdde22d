import Diagnostics
import Reports
import StrictJSON

/// A finished run as a page shows it: its tables, and its models with the looks that they have in figures.
struct RunResults {
  struct Model: Equatable {
    let label: String
    /// The architecture; nil for feature files, and for models that the manifest does not describe.
    let family: String?
    let style: Style
  }

  /// From 0, in the order given.
  let number: Int
  /// What readers know it by: the last part of its folder's name, told apart by the number.
  let title: String
  let run: FinishedRun
  /// In the order of the manifest.
  let models: [Model]
  /// The same models as figures know them.
  private let networks: [NetworkOutline]

  init(_ run: FinishedRun, number: Int, title: String) throws(ResultsError) {
    self.run = run
    self.number = number
    self.title = title
    var labels: [String] = []
    var families: [String: String] = [:]
    for subject in run.manifest["configuration"]?["subjects"]?.arrayValue ?? [] {
      guard let label = subject["label"]?.stringValue, !labels.contains(label) else { continue }
      labels.append(label)
      families[label] = subject["architecture"]?.stringValue.map {
        String($0.prefix { $0 != "(" })
      }
    }
    for (_, table) in run.tables {
      for column in ["model", "model_a", "model_b"] where table.has(column) {
        for label in try table.models(column) where !labels.contains(label) {
          labels.append(label)
        }
      }
    }
    let outlines = Dictionary(
      (run.manifest["networks"]?.arrayValue ?? []).compactMap(NetworkOutline.init)
        .map { ($0.label, $0) }, uniquingKeysWith: { first, _ in first })
    networks = labels.map { label in
      let known = outlines[label]
      return NetworkOutline(
        label: label, family: known?.family ?? families[label] ?? "", layers: known?.layers ?? [])
    }
    let styles = Style.models(families: networks.map(\.family))
    models = zip(labels, styles).map { Model(label: $0, family: families[$0], style: $1) }
  }

  /// A table, if the run has it.
  func table(_ name: String) -> CSVTable? { run.table(name) }

  /// What the figures of an analysis are made of.
  ///
  /// - Parameter layers: nil for figures that do not say which marks are of which layer, as those of a command.
  func source(_ analysis: String, _ layers: LayerIndex?) -> FigureSource {
    let configuration = run.manifest["configuration"]
    let settings = configuration?["analyses"]?[analysis] ?? configuration?[analysis]
    var tables: [String: any TableRows] = [:]
    for (name, table) in run.tables { tables[name] = table }
    var keys: (@Sendable (String, String) -> Int?)?
    if let layers {
      let number = number
      keys = { layers.number(number, $0, $1) }
    }
    return FigureSource(
      tables, settings: settings ?? .null, networks: networks, number: keys)
  }
}
