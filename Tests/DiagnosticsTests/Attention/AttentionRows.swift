import Reports

@testable import Diagnostics

/// The rows of `attention.csv` by what they are of.
struct AttentionRows {
  private struct Key: Hashable {
    var model: String
    var layer: Int
    var statistic: String
    var head: Int?
  }
  private var rows: [Key: (value: Double?, error: Double?, images: Int, status: String)] = [:]

  init(_ report: Report) {
    let table = report.table("attention")
    for row in table?.rows ?? [] {
      guard row.count == 14, case .text(let model) = row[0], case .integer(let layer) = row[2],
        case .text(let statistic) = row[9], case .integer(let images) = row[10],
        case .text(let status) = row[13]
      else { continue }
      func real(_ cell: Cell) -> Double? { if case .real(let value) = cell { value } else { nil } }
      var head: Int?
      if case .integer(let number) = row[8] { head = number }
      rows[Key(model: model, layer: layer, statistic: statistic, head: head)] = (
        real(row[11]), real(row[12]), images, status
      )
    }
  }

  /// How many there are.
  var count: Int { rows.count }

  /// A value; of a layer as a whole without a head.
  subscript(
    _ statistic: String, _ head: Int? = nil, layer layer: Int = 0, model model: String = "a"
  ) -> Double? {
    rows[Key(model: model, layer: layer, statistic: statistic, head: head)]?.value
  }

  func error(_ statistic: String, _ head: Int? = nil, layer: Int = 0) -> Double? {
    rows[Key(model: "a", layer: layer, statistic: statistic, head: head)]?.error
  }

  func images(_ statistic: String, _ head: Int? = nil, layer: Int = 0) -> Int? {
    rows[Key(model: "a", layer: layer, statistic: statistic, head: head)]?.images
  }

  func status(_ statistic: String, _ head: Int? = nil, layer: Int = 0) -> String? {
    rows[Key(model: "a", layer: layer, statistic: statistic, head: head)]?.status
  }
}
