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
        for label in try Self.labels(table, column: column) where !labels.contains(label) {
          labels.append(label)
        }
      }
    }
    let styles = Style.models(families: labels.map { families[$0] ?? "" })
    models = zip(labels, styles).map { Model(label: $0, family: families[$0], style: $1) }
  }

  /// A table, if the run has it.
  func table(_ name: String) -> CSVTable? { run.table(name) }

  /// The model of each row. Of a table about several data sets, each is a model of its own.
  func models(_ table: CSVTable, column: String = "model") throws(ResultsError) -> [String] {
    try Self.labels(table, column: column)
  }

  private static func labels(_ table: CSVTable, column: String) throws(ResultsError) -> [String] {
    let models = try table.texts(column)
    guard table.has("data") else { return models }
    let data = try table.texts("data")
    return Set(data).count > 1 ? zip(models, data).map { "\($0), \($1)" } : models
  }

  /// The looks of a model.
  func style(_ label: String) -> Style { models.first { $0.label == label }?.style ?? .other }

  /// The setting of an analysis as the manifest has it.
  func setting(_ analysis: String, _ name: String) -> JSONValue? {
    run.manifest["configuration"]?["analyses"]?[analysis]?[name]
      ?? run.manifest["configuration"]?[analysis]?[name]
  }
}

/// The rows of a table that belong to one model, in the order of the table.
struct ModelRows {
  let model: String
  let rows: [Int]

  /// One for each model, in the order in which they come.
  static func of(_ table: CSVTable, in run: RunResults) throws(ResultsError) -> [ModelRows] {
    groups(Array(table.rows.indices), by: try run.models(table)).map {
      ModelRows(model: $0.value, rows: $0.rows)
    }
  }

  /// `rows` by equal values, in the order in which those come.
  static func groups(
    _ rows: [Int], by values: [String]
  ) -> [(value: String, rows: [Int])] {
    var places: [String: Int] = [:]
    var groups: [(value: String, rows: [Int])] = []
    for row in rows {
      if let place = places[values[row]] {
        groups[place].rows.append(row)
      } else {
        places[values[row]] = groups.count
        groups.append((values[row], [row]))
      }
    }
    return groups
  }
}

extension CSVTable {
  /// The column that names layers; curves of CKA call it `block_name` in version 0.1.0.
  var layerColumn: String { has("block_name") ? "block_name" : "layer_name" }

  /// The column that numbers heads; tables of attention call it `head` in version 0.1.0.
  var headColumn: String { has("head") ? "head" : "head_index" }
}
