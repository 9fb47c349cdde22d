import Reports

extension View {
  static let cka = View(
    id: "cka", title: "CKA",
    explanation:
      "How similar the features of two layers are, from 0 to 1. A cell names its pair and "
      + "value; choosing it shows how similar its row is to every column.",
    tables: ["cka_curve", "cka"]
  ) { (run, layers) throws(ResultsError) in
    try CKAFigures(run: run, layers: layers).all
  }
}

/// Curves to the last block, and a heat map for each pair of models.
struct CKAFigures {
  let run: RunResults
  let layers: LayerIndex

  var all: [Figure] {
    get throws(ResultsError) { try [curve].compactMap(\.self) + maps }
  }

  private var curve: Figure? {
    get throws(ResultsError) {
      guard let table = run.table("cka_curve") else { return nil }
      let (s, low, high) = (
        try table.numbers("s"), try table.numbers("ci_lo"), try table.numbers("ci_hi")
      )
      let (depths, names) = (try table.numbers("depth"), try table.texts(table.layerColumn))
      let series = try ModelRows.of(table, in: run).map { group in
        Series(
          group.model,
          group.rows.map { row in
            Point(
              depths[row] ?? 0, s[row], low: low[row], high: high[row], label: names[row],
              key: layers.number(run.number, group.model, names[row]))
          }, style: run.style(group.model))
      }
      guard series.contains(where: { $0.points.contains { $0.y != nil } }) else { return nil }
      return Figure(
        name: "cka_curve", title: "Similarity to the last block",
        subtitle: try subtitle(table) + Self.intervals(low),
        summary: "How similar the features of each block are to those of the last block.",
        panels: [Figure.Panel(x: .depth, y: Axis("CKA to last block"), series.map(Mark.series))],
        panelSize: (560, 300))
    }
  }

  private static func intervals(_ ends: [Double?]) -> String {
    ends.contains { $0 != nil } ? ", bands: 95 % bootstrap over minibatches" : ""
  }

  /// Estimator and counts, from the columns that say them.
  private func subtitle(_ table: CSVTable) throws(ResultsError) -> String {
    func only(_ column: String) throws(ResultsError) -> String {
      Set(try table.texts(column)).sorted().joined(separator: "/")
    }
    return "\(try only("estimator")) \(try only("kernel")) CKA, rows: \(try only("rows")), "
      + "\(imageCount(try table.numbers("n_images"))) in \(try only("n_batches")) × "
      + "\(try only("batch_size"))"
  }

  private var maps: [Figure] {
    get throws(ResultsError) {
      try run.similarities(layers).map { pair throws(ResultsError) in
        let (a, b) = (pair.a, pair.b)
        return Figure(
          name: "cka_\(a)_\(b)", title: a == b ? "CKA within \(a)" : "CKA: \(a) and \(b)",
          subtitle: pair.table.rows.isEmpty ? "" : try subtitle(pair.table),
          summary: "Similarity of every layer of \(a) to every layer of \(b).",
          panels: [
            Figure.Panel(
              x: Axis("Layers of \(b)"), y: Axis("Layers of \(a)"), [.heatMap(pair.map)])
          ], colorBar: Figure.ColorBar("CKA", .magma))
      }
    }
  }
}

/// The similarities of the layers of two models.
struct Similarities {
  let a: String
  let b: String
  let table: CSVTable
  /// Rows are layers of `a`, columns of `b`.
  let map: HeatMap
  /// Half the width of each interval over 1.96; nil without one.
  let errors: [[Double?]]
}

extension RunResults {
  /// What `cka.csv` holds, pair by pair of models.
  func similarities(_ layers: LayerIndex) throws(ResultsError) -> [Similarities] {
    guard let table = table("cka") else { return [] }
    let (first, second) = (
      try models(table, column: "model_a"), try models(table, column: "model_b")
    )
    let (rowNames, columnNames) = (
      try table.texts("layer_a_name"), try table.texts("layer_b_name")
    )
    let (values, low, high) = (
      try table.numbers("cka"), try table.numbers("ci_lo"), try table.numbers("ci_hi")
    )
    var found: [Similarities] = []
    for (a, own) in ModelRows.groups(Array(table.rows.indices), by: first) {
      for (b, rows) in ModelRows.groups(own, by: second) {
        let down = ModelRows.groups(rows, by: rowNames).map(\.value)
        let across = ModelRows.groups(rows, by: columnNames).map(\.value)
        let places = (
          Dictionary(uniqueKeysWithValues: down.enumerated().map { ($1, $0) }),
          Dictionary(uniqueKeysWithValues: across.enumerated().map { ($1, $0) })
        )
        let empty = [[Double?]](
          repeating: Array(repeating: nil, count: across.count), count: down.count)
        var (cells, errors) = (empty, empty)
        var isSet = Set<Int>()
        for row in rows {
          guard let i = places.0[rowNames[row]], let j = places.1[columnNames[row]] else {
            continue
          }
          guard isSet.insert(i * across.count + j).inserted else {
            throw table.damage(row, "found a second value of one pair of layers")
          }
          cells[i][j] = values[row]
          if let low = low[row], let high = high[row] {
            errors[i][j] = (high - low) / (2 * halfWidth)
          }
        }
        func keys(_ model: String, _ names: [String]) -> [Int] {
          names.map { layers.number(number, model, $0) ?? -1 }
        }
        found.append(
          Similarities(
            a: a, b: b, table: table,
            map: HeatMap(
              cells, columnNames: across, rowNames: down,
              keys: .init(columns: keys(b, across), rows: keys(a, down))), errors: errors))
      }
    }
    return found
  }
}
