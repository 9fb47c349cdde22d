import Reports
import StrictJSON

/// What a table says of a layer in one number: the list of layers, the comparison of runs and the page's script have it
/// from here.
struct LayerMeasure {
  /// The view that shows it.
  let view: String
  let table: String
  /// The column of the number.
  let value: String
  /// The column of its standard error.
  var error: String?
  /// Whether `ci_lo` and `ci_hi` are the ends of its interval.
  var hasEnds = false
  /// Of several statistics in one column, which.
  var statistic: String?
  /// The head of a column of the list of layers.
  let title: String
  /// What it is called where there is room.
  let label: String

  /// In the order of the page.
  static let all = [
    LayerMeasure(
      view: "cka", table: "cka_curve", value: "s", hasEnds: true, title: "CKA to last",
      label: "CKA to last block"),
    LayerMeasure(
      view: "fourier", table: "fourier", value: "delta_log_amp", error: "delta_se",
      title: "high freq. Δ log", label: "high-frequency Δ log amplitude"),
    LayerMeasure(
      view: "variance", table: "variance", value: "value", error: "se", title: "variance",
      label: "variance"),
    LayerMeasure(
      view: "attention", table: "attention", value: "value", error: "se", statistic: "distance",
      title: "distance (px)", label: "attention distance"),
    LayerMeasure(
      view: "attention", table: "attention", value: "value", error: "se", statistic: "entropy",
      title: "entropy (nats)", label: "attention entropy"),
    LayerMeasure(
      view: "lesion", table: "lesion", value: "delta_acc_pp", hasEnds: true,
      title: "lesion Δ pp", label: "Δ accuracy without it (pp)"),
  ]

  /// The rows of its statistic that are of whole layers, not of heads.
  func rows(_ table: CSVTable) throws(ResultsError) -> [Int] {
    let hasHeads = ["head_index", "head"].contains(where: table.has)
    let heads = hasHeads ? try table.texts(table.headColumn) : nil
    let statistics = statistic == nil ? nil : try table.texts("statistic")
    return table.rows.indices.filter {
      heads?[$0].isEmpty ?? true && statistics?[$0] == statistic
    }
  }

  /// For the script.
  var json: JSONValue {
    [
      "view": .string(view), "table": .string(table), "value": .string(value),
      "error": error.map(JSONValue.string) ?? .null,
      "ends": hasEnds ? ["ci_lo", "ci_hi"] : .null,
      "statistic": statistic.map(JSONValue.string) ?? .null, "label": .string(label),
    ]
  }
}
