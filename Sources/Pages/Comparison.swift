import Diagnostics
import Reports

/// Two runs side by side: what differs, by how much of its error.
struct Comparison {
  /// A number that both runs have.
  struct Delta: Equatable {
    let view: String
    let quantity: String
    let model: String
    let layer: String
    let first: Double
    let second: Double
    /// Of the difference; nil where a run gives none.
    let error: Double?
    let key: Int?

    var change: Double { second - first }
    /// The change in standard errors.
    var effect: Double? { error.flatMap { $0 > 0 ? change / $0 : nil } }
  }

  let first: RunResults
  let second: RunResults
  let layers: LayerIndex

  /// Models of the first run and those of the second that they are compared with: of the same label, or the
  /// only ones of both.
  var pairs: [(first: String, second: String)] {
    let (a, b) = (first.models.map(\.label), second.models.map(\.label))
    let common = a.filter(b.contains)
    if common.isEmpty, a.count == 1, b.count == 1 { return [(a[0], b[0])] }
    return common.map { ($0, $0) }
  }

  /// Largest effects first; those without an error at the end, by size.
  var deltas: [Delta] {
    get throws(ResultsError) {
      var deltas: [Delta] = []
      // Of attention every statistic of layers and of heads.
      let ofLayers = LayerMeasure.all.filter { $0.statistic == nil || $0.statistic == "distance" }
        .map { measure in
          (
            measure.view, measure.table, measure.value, measure.hasEnds ? "ci" : measure.error,
            measure.statistic == nil ? measure.label : ""
          )
        }
      for (view, table, value, error, label) in [
        ("metrics", "metrics", "acc", nil, "accuracy"), ("metrics", "metrics", "nll", nil, "NLL"),
      ] + ofLayers {
        let a = try entries(first, table, value, error, label)
        let b = try entries(second, table, value, error, label)
        for (old, new) in pairs {
          for entry in a.order where entry.model == old {
            var other = entry
            other.model = new
            guard let one = a.values[entry], let two = b.values[other] else { continue }
            let both = one.error.flatMap { a in two.error.map { (a * a + $0 * $0).squareRoot() } }
            deltas.append(
              Delta(
                view: view, quantity: entry.quantity, model: old == new ? old : "\(old) → \(new)",
                layer: entry.layer, first: one.value, second: two.value, error: both,
                key: layers.number(second.number, new, entry.layer)))
          }
        }
      }
      return deltas.enumerated().sorted { a, b in
        let (x, y) = (a.element.effect?.magnitude ?? -1, b.element.effect?.magnitude ?? -1)
        return x != y ? x > y : a.offset < b.offset
      }.map(\.element)
    }
  }

  private struct Entry: Hashable {
    var model: String
    let layer: String
    let quantity: String
  }

  /// The numbers of a table by what they are of; of a spectrum those at the highest frequency.
  private func entries(
    _ run: RunResults, _ table: String, _ value: String, _ error: String?,
    _ label: String
  ) throws(ResultsError) -> (
    order: [Entry], values: [Entry: (value: Double, error: Double?)]
  ) {
    guard let table = run.table(table) else { return ([], [:]) }
    let models = try table.models()
    let isOfLayers = ["layer_name", "block_name"].contains(where: table.has)
    let names = isOfLayers ? try table.texts(table.layerColumn) : nil
    let values = try table.numbers(value)
    var errors = [Double?](repeating: nil, count: values.count)
    if error == "ci" {
      errors = zip(try table.numbers("ci_lo"), try table.numbers("ci_hi")).map { low, high in
        low.flatMap { low in high.map { ($0 - low) / (2 * Point.halfWidth) } }
      }
    } else if let error {
      errors = try table.numbers(error)
    } else if value == "acc" {
      errors = zip(values, try table.numbers("n")).map { share, n in
        share.flatMap { p in n.flatMap { $0 > 0 ? (p * (1 - p) / $0).squareRoot() : nil } }
      }
    }
    let statistics = table.has("statistic") ? try table.texts("statistic") : nil
    let isOfHeads = ["head_index", "head"].contains(where: table.has)
    let heads = isOfHeads ? try table.texts(table.headColumn) : nil
    var order: [Entry] = []
    var found: [Entry: (value: Double, error: Double?)] = [:]
    for row in values.indices {
      guard let value = values[row] else { continue }
      let head = heads.flatMap { $0[row].isEmpty ? nil : ", head \($0[row])" } ?? ""
      let entry = Entry(
        model: models[row], layer: (names?[row] ?? "") + head,
        quantity: statistics.map { $0[row] } ?? label)
      if found.updateValue((value, errors[row]), forKey: entry) == nil { order.append(entry) }
    }
    return (order, found)
  }

  /// CKA of the second run minus that of the first, where both have the same layers.
  var maps: [Figure] {
    get throws(ResultsError) {
      let old = try LayerSimilarities.all(of: first.source("cka", layers))
      let new = try LayerSimilarities.all(of: second.source("cka", layers))
      var figures: [Figure] = []
      for a in pairs {
        for b in pairs {
          guard let one = old.first(where: { $0.a == a.first && $0.b == b.first }),
            let two = new.first(where: { $0.a == a.second && $0.b == b.second }),
            one.map.rowNames == two.map.rowNames, one.map.columnNames == two.map.columnNames
          else { continue }
          let cells = zip(one.map.values, two.map.values).map { rows in
            zip(rows.0, rows.1).map { cells in cells.0.flatMap { x in cells.1.map { $0 - x } } }
          }
          let known = cells.joined().compactMap { $0?.magnitude }
          guard let limit = known.max() else { continue }
          let range = max(limit, 0.01)
          figures.append(
            Figure(
              name: "difference_\(a.first)_\(b.first)",
              title: a.first == b.first
                ? "Change of CKA within \(a.first)" : "Change of CKA: \(a.first) and \(b.first)",
              subtitle: "\(second.title) − \(first.title)",
              summary: "The difference of the similarities of each pair of layers.",
              panels: [
                Figure.Panel(
                  x: Axis("Layers of \(b.second)"), y: Axis("Layers of \(a.second)"),
                  [
                    .heatMap(
                      HeatMap(
                        cells, columnNames: two.map.columnNames, rowNames: two.map.rowNames,
                        keys: two.map.keys))
                  ])
              ], colorBar: Figure.ColorBar("Δ CKA", .diverging, range: -range...range)))
        }
      }
      return figures
    }
  }

  /// Rows that stand open, and those after them that the page has.
  private static let (shown, limit) = (25, 500)

  /// What is compared with what.
  func write(into page: inout HTML) throws(ResultsError) {
    page.element("h2", "Comparison: \(first.title) → \(second.title)")
    let pairs = pairs
    guard !pairs.isEmpty else {
      page.element(
        "p",
        "No model of one run has the label of one of the other, and there are several: nothing is "
          + "compared. Give models to be compared the same label.", "class=\"lead\"")
      return
    }
    let words = pairs.map { $0.first == $0.second ? $0.first : "\($0.first) with \($0.second)" }
    page.element(
      "p",
      "Compared: \(words.joined(separator: ", ")). Differences stand by effect: the change over its "
        + "standard error, the errors of both runs taken as independent; on the same images errors come out "
        + "too large rather than too small. Of many rows one in twenty is beyond 2 by chance.",
      "class=\"lead\"")
  }

  /// The differences as tables, those that are large for their error open.
  func writeDeltas(into page: inout HTML) throws(ResultsError) {
    let deltas = try deltas
    guard !deltas.isEmpty else { return }
    write(deltas.prefix(Self.shown), into: &page)
    let rest = deltas.dropFirst(Self.shown).prefix(Self.limit)
    guard !rest.isEmpty else { return }
    page.markup("<details><summary>")
    page.element("span", "\(rest.count) smaller differences")
    page.markup("</summary>")
    write(rest, into: &page)
    page.markup("</details>\n")
    let left = deltas.count - Self.shown - rest.count
    if left > 0 {
      page.element("p", "\(left) more are left out here; the tables hold them.", "class=\"note\"")
    }
  }

  private func write(_ deltas: ArraySlice<Delta>, into page: inout HTML) {
    page.table(
      [
        "quantity", "model", "layer", first.title, second.title, "change", "standard error",
        "effect",
      ],
      class: "deltas")
    for delta in deltas {
      page.row(
        [
          .text(delta.quantity), .text(delta.model), .code(delta.layer), .number(delta.first),
          .number(delta.second), .number(delta.change), .number(delta.error),
          .number(delta.effect),
        ], attributes: delta.key.map { "data-layer=\"\($0)\" tabindex=\"0\"" } ?? "")
    }
    page.endTable()
  }
}
